#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { agentCommand } from "./agent.js";
import { benchCommand } from "./bench.js";
import { checkCommand } from "./check.js";
import { controlCommand } from "./control.js";
import { demoCommand } from "./demo.js";
import { inspectCommand } from "./inspect.js";
import { planCommand } from "./plan.js";
import { replayCommand } from "./replay.js";
import { runCommand } from "./run.js";
import { schemaCommand } from "./schema.js";
import { statusCommand } from "./status.js";
import { describeFailure, EXIT_CODES, exitCodeOf, type Terminal } from "./terminal.js";
import { VERSION } from "./version.js";
import { watchCommand } from "./watch.js";
import { zooCommand } from "./zoo.js";

const COLUMNS_WITHOUT_TERMINAL = 80;

/** Every command is a function of the terminal, in a file of its own. */
const COMMANDS: readonly ((terminal: Terminal) => Command)[] = [
  runCommand,
  agentCommand,
  inspectCommand,
  benchCommand,
  planCommand,
  replayCommand,
  watchCommand,
  statusCommand,
  controlCommand,
  checkCommand,
  schemaCommand,
  zooCommand,
  demoCommand,
];

function openTerminal(signal: AbortSignal): Terminal {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY,
    columns: columnsOf(process.stderr),
    env: process.env,
    signal,
    setExitCode: (code) => {
      process.exitCode = code;
    },
  };
}

/** Undefined where it is no terminal, whatever the types of Node say. */
function columnsOf(stream: { columns?: number }): number {
  return stream.columns ?? COLUMNS_WITHOUT_TERMINAL;
}

async function main(): Promise<void> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => stop.abort());
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // A reader that closed the pipe (`| head`) is no error.
    if (error.code === "EPIPE") process.exit(EXIT_CODES.ok);
    process.stderr.write(`scissiond: cannot write the output: ${error.message}\n`);
    process.exit(EXIT_CODES.failed);
  });

  const terminal = openTerminal(stop.signal);
  const program = new Command("scissiond")
    .description("Keeps a neural network cut over device, edge and cloud at the best place.")
    .version(VERSION)
    .exitOverride();
  for (const command of COMMANDS) {
    program.addCommand(command(terminal).exitOverride());
  }
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
      return;
    }
    terminal.err(`${describeFailure(error)}\n`);
    process.exitCode = exitCodeOf(error);
  }
}

await main();
