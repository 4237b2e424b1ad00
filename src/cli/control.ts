import { Argument, Command, Option } from "commander";
import { AppError } from "../core/index.js";
import { type Control, parseValue, type Pin, pinSchema } from "../protocol/index.js";
import { askDaemon, refused } from "./ask-daemon.js";
import { addDaemonOptions, type DaemonFlags, readLogin } from "./daemon-login.js";
import type { Terminal } from "./terminal.js";

const ACTIONS = ["pause", "resume", "pin", "rollback", "replan", "bench"] as const;
const TIMEOUT_MS = 30_000;
const STAGE = /^([a-z0-9-]+):(\d+)-(\d+)$/;

interface ControlFlags extends DaemonFlags {
  stage?: string[];
}

export function controlCommand(terminal: Terminal): Command {
  const command = new Command("control")
    .description("Tell a running daemon what to do with a pipeline: pause, pin, rollback and more.")
    .addArgument(new Argument("<action>", "what to do").choices(ACTIONS))
    .argument("<pipeline>", "name of the pipeline, as `status` shows it");
  return addDaemonOptions(command)
    .addOption(
      new Option("--stage <node:first-last...>", "for pin: the layers that a node runs, in order"),
    )
    .addHelpText(
      "after",
      `
pause keeps the plan in force, pin and rollback hold another one; resume ends all three.
Each leaves a record among the decisions and lasts over a restart of the daemon.

Examples:
  scissiond control pause vision-cam-1
  scissiond control pin vision-cam-1 --stage cam-1:0-30 --stage gpu-1:31-121
  scissiond control bench vision-cam-1
  scissiond control resume vision-cam-1 --token-file admin.token`,
    )
    .action(async (action: (typeof ACTIONS)[number], pipeline: string, flags: ControlFlags) => {
      const order: Control =
        action === "pin" ? { action, partitions: stagesOf(flags.stage ?? []) } : { action };
      await send(terminal, { order, pipeline, flags });
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
  { order, pipeline, flags }: { order: Control; pipeline: string; flags: ControlFlags },
): Promise<void> {
  const reply = await askDaemon(await readLogin(terminal, flags), {
    path: `/api/v1/pipelines/${encodeURIComponent(pipeline)}/control`,
    body: order,
    timeoutMs: TIMEOUT_MS,
    signal: terminal.signal,
  });
  if (reply.status >= 200 && reply.status < 300) return;
  throw refused(reply);
}
