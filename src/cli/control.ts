import { Argument, Command, Option } from "commander";
import { AppError } from "../core/index.js";
import { type Control, parseValue, type Pin, pinSchema } from "../protocol/index.js";
import { DEFAULT_URL, unreachable } from "./daemon-address.js";
import type { Terminal } from "./terminal.js";
import { bearerHeaders, readToken, TOKEN_FILE_OPTION } from "./token.js";

const ACTIONS = ["pause", "resume", "pin", "rollback", "replan", "bench"] as const;
const TIMEOUT_MS = 30_000;
const STAGE = /^([a-z0-9-]+):(\d+)-(\d+)$/;

interface ControlFlags {
  url: string;
  tokenFile?: string;
  stage?: string[];
}

export function controlCommand(terminal: Terminal): Command {
  return new Command("control")
    .description("Tell a running daemon what to do with a pipeline: pause, pin, rollback and more.")
    .addArgument(new Argument("<action>", "what to do").choices(ACTIONS))
    .argument("<pipeline>", "name of the pipeline, as `status` shows it")
    .option("--url <url>", "address of the daemon", DEFAULT_URL)
    .addOption(
      new Option("--stage <node:first-last...>", "for pin: the layers that a node runs, in order"),
    )
    .option(...TOKEN_FILE_OPTION)
    .addHelpText(
      "after",
      `
pause keeps the plan in force, pin and rollback hold another one; resume ends all three.
Each leaves a record among the decisions and lasts over a restart of the daemon.

Examples:
  scissiond control pause vision-cam-1
  scissiond control pin vision-cam-1 --stage cam-1:0-30 --stage gpu-1:31-121
  scissiond control resume vision-cam-1 --token-file admin.token`,
    )
    .action(async (action: (typeof ACTIONS)[number], pipeline: string, flags: ControlFlags) => {
      const command: Control =
        action === "pin" ? { action, partitions: stagesOf(flags.stage ?? []) } : { action };
      await send(terminal, { command, pipeline, flags });
      terminal.err(`${pipeline}: ${action} accepted\n`);
    });
}

function stagesOf(texts: readonly string[]): Pin {
  const stages = texts.map((text) => {
    const [, node, first, last] = STAGE.exec(text) ?? [];
    if (node === undefined) {
      throw new AppError("USAGE", `--stage ${text} is not NODE:FIRST-LAST, such as gpu-1:31-121`);
    }
    return { node, firstLayer: Number(first), lastLayer: Number(last) };
  });
  const pin = parseValue(stages, pinSchema);
  if (!pin.ok) throw new AppError("USAGE", `pin needs --stage NODE:FIRST-LAST: ${pin.message}`);
  return pin.value;
}

async function send(
  terminal: Terminal,
  order: { command: Control; pipeline: string; flags: ControlFlags },
): Promise<void> {
  const { command, pipeline, flags } = order;
  const { url } = flags;
  if (!URL.canParse(url)) throw new AppError("USAGE", `${url} is no URL; use http://HOST:PORT`);
  const token = await readToken(terminal, flags.tokenFile);
  const path = `/api/v1/pipelines/${encodeURIComponent(pipeline)}/control`;
  const response = await fetch(new URL(path, url), {
    method: "POST",
    headers: { "content-type": "application/json", ...bearerHeaders(token) },
    body: JSON.stringify(command),
    signal: AbortSignal.any([terminal.signal, AbortSignal.timeout(TIMEOUT_MS)]),
  }).catch((cause: unknown) => {
    throw unreachable(url, cause);
  });
  const body: unknown = await response.json().catch(() => undefined);
  if (response.ok) return;
  throw new AppError("COMMAND_FAILED", `the daemon refused: ${refusalOf(body, response.status)}`);
}

function refusalOf(body: unknown, status: number): string {
  const error = (body as { error?: { message?: unknown } } | undefined)?.error;
  return typeof error?.message === "string" ? error.message : `HTTP status ${status}`;
}
