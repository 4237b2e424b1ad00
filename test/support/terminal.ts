import type { Command } from "commander";
import type { Terminal } from "../../src/cli/terminal.js";

export interface RecordedTerminal extends Terminal {
  /** What went to standard output. */
  readonly output: string;
  /** What went to standard error. */
  readonly talk: string;
  readonly exitCode: number;
  /** As Ctrl-C does. */
  interrupt(): void;
}

/** A terminal that keeps what a command says. */
export function recordTerminal(env: Record<string, string> = {}): RecordedTerminal {
  const stop = new AbortController();
  let output = "";
  let talk = "";
  let exitCode = 0;
  return {
    out: (text) => {
      output += text;
    },
    err: (text) => {
      talk += text;
    },
    interactive: false,
    columns: 80,
    env,
    signal: stop.signal,
    setExitCode: (code) => {
      exitCode = code;
    },
    interrupt: () => stop.abort(),
    get output() {
      return output;
    },
    get talk() {
      return talk;
    },
    get exitCode() {
      return exitCode;
    },
  };
}

/** Runs one command with these arguments; rejects with what it throws. */
export async function runCommandLine(command: Command, ...args: string[]): Promise<void> {
  await command.exitOverride().parseAsync(args, { from: "user" });
}
