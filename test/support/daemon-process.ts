import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { Status } from "../../src/protocol/index.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const OUTPUT_KEPT = 20_000;

export interface RunningProcess {
  readonly pid: number;
  output(): string;
  exited(): boolean;
  signal(name: NodeJS.Signals): void;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

/** Starts the built `scissiond` as users do. */
export function spawnScissiond(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): RunningProcess {
  return watchProcess(
    spawn(process.execPath, [MAIN, ...args], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );
}

export function watchProcess(child: ChildProcess): RunningProcess {
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-OUTPUT_KEPT);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  const ended = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal ?? "unknown"));
  });
  return {
    pid: child.pid ?? 0,
    output: () => output,
    exited: () => child.exitCode !== null || child.signalCode !== null,
    signal: (name) => void child.kill(name),
    ended,
  };
}

/** The process, which the steps of `cleanup` kill. */
export function killedBy(
  cleanup: { push(step: () => Promise<unknown>): unknown },
  child: RunningProcess,
): RunningProcess {
  cleanup.push(() => kill(child));
  return child;
}

/** Without a chance to say farewell; resolves when it is gone. */
export async function kill(child: RunningProcess): Promise<void> {
  child.signal("SIGKILL");
  await child.ended;
}

/** Whether a daemon answers at `url`. */
export function livesAt(url: string): Promise<boolean> {
  return fetch(`${url}/healthz`).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** What the daemon at `url`, which asks for no token, says of itself; undefined where none answers. */
export function statusAt(url: string): Promise<Status | undefined> {
  return fetch(`${url}/api/v1/status`).then(
    async (answer) => (await answer.json()) as Status,
    () => undefined,
  );
}

/** A TCP port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
