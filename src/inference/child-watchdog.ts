import { rmSync } from "node:fs";
import { workerData } from "node:worker_threads";

const POLL_MS = 500;

/**
 * A thread of the child: its main thread may be deep in a run that never ends. It has a heap of a few
 * megabytes, which a library to check what our own program gives it would all but fill.
 */
const { parentPid, temporaryDirectory } = workerData as {
  parentPid: number;
  temporaryDirectory: string;
};

setInterval(() => {
  if (process.ppid === parentPid) return;
  rmSync(temporaryDirectory, { recursive: true, force: true });
  process.kill(process.pid, "SIGKILL");
}, POLL_MS);
