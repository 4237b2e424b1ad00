import { rmSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { type ErrorCode, errorMessage, isAppError, printable } from "../core/index.js";
import { parseJson, parseValue } from "../protocol/index.js";
import { type LoadedModel, openModel } from "./child-model.js";
import { probeProvider } from "./child-providers.js";
import { listSidecars } from "./child-sidecars.js";
import {
  type ChildConfig,
  type ChildResponse,
  childConfigSchema,
  type RequestBody,
  requestSchema,
} from "./messages.js";

/**
 * The process that runs ONNX Runtime, and the only place where it is loaded: `run` and `create`
 * block the thread they are called on, and hostile models hang, exhaust memory or crash.
 */
const MESSAGE_CHARACTERS_MAX = 2_000;

function main(): void {
  const config = parseJson(process.argv[2] ?? "", childConfigSchema);
  if (!config.ok) throw new Error(`started without a valid configuration: ${config.message}`);
  outliveSignalsButNotTheParent(config.value);

  let loaded: LoadedModel | undefined;
  const handle = async (body: RequestBody): Promise<unknown> => {
    if (body.kind === "open") {
      const opened = await openModel(body, config.value);
      loaded = opened.loaded;
      return opened.description;
    }
    if (body.kind === "probe") return probeProvider(body.provider, config.value);
    if (body.kind === "sidecars") return listSidecars(body.path, config.value);
    if (loaded === undefined) throw new Error(`${body.kind} before open`);
    switch (body.kind) {
      case "measure":
        return loaded.measure(body.target, body.repeat);
      case "turn":
        return loaded.turn(body.ranges, body.repeat);
      case "profile":
        return loaded.profile(body);
      case "compare":
        return loaded.compare();
      case "extract":
        return loaded.extract(body.range, body.path);
    }
  };
  process.on("message", (message) => void answer(message, handle));
  // The first session of a process pays for ONNX Runtime's own start, and no model should.
  void probeProvider("cpu", config.value).finally(() => send({ type: "ready" }));
}

async function answer(
  message: unknown,
  handle: (body: RequestBody) => Promise<unknown>,
): Promise<void> {
  const request = parseValue(message, requestSchema);
  if (!request.ok) throw new Error(`request: ${request.message}`);
  const { id, body } = request.value;
  try {
    send({ type: "result", id, value: await handle(body) });
  } catch (error) {
    const code: ErrorCode = isAppError(error) ? error.code : "INTERNAL";
    const text = printable(errorMessage(error), MESSAGE_CHARACTERS_MAX);
    send({ type: "failure", id, code, message: text });
  }
}

/** A channel that closes meanwhile is no error of the message: `disconnect` deals with it. */
function send(response: ChildResponse): void {
  process.send?.(response, () => undefined);
}

/**
 * Ctrl-C reaches the whole process group, but the parent decides and names the cause. A parent
 * that was killed cannot: then the channel closes, or, in mid-run, the watchdog thread sees it.
 */
function outliveSignalsButNotTheParent(config: ChildConfig): void {
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => undefined);
  const vanish = (): void => {
    rmSync(config.temporaryDirectory, { recursive: true, force: true });
    process.kill(process.pid, "SIGKILL");
  };
  process.on("disconnect", vanish);
  // It may have died while our modules were loaded, before anybody listened.
  if (!process.connected) vanish();
  new Worker(new URL("./child-watchdog.js", import.meta.url), {
    workerData: { parentPid: process.ppid, temporaryDirectory: config.temporaryDirectory },
    resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 2 },
  }).unref();
}

main();
