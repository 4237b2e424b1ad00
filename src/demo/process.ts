import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../cli/main.js", import.meta.url));
const STOP_GRACE_MS = 5_000;
const LINES_KEPT = 20;

/** One real process of scissiond. */
export interface DemoProcess {
  readonly name: string;
  /** Last lines of standard error and output, for the report of a failure. */
  lastLines(): string[];
  /** Set once it has ended. */
  readonly ended: boolean;
  /** As a power cut would: no farewell. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts `scissiond <args>`; every line of its standard output goes to `onLine`. */
export function startProcess(
  name: string,
  args: readonly string[],
  onLine: (line: string) => void = () => undefined,
): DemoProcess {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const kept: string[] = [];
  const keep = (line: string): void => {
    kept.push(line);
    if (kept.length > LINES_KEPT) kept.shift();
  };
  createInterface(child.stdout).on("line", (line) => {
    keep(line);
    onLine(line);
  });
  createInterface(child.stderr).on("line", keep);
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.once("error", (error) => {
      keep(error.message);
      resolve();
    });
  });
  return {
    name,
    lastLines: () => [...kept],
    get ended() {
      return hasEnded(child);
    },
    kill: () => {
      child.kill("SIGKILL");
      return ended;
    },
    stop: async () => {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
