import { rmSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { z } from "zod";

const POLL_MS = 500;

/** A thread of the child: its main thread may be deep in a run that never ends. */
const { parentPid, temporaryDirectory } = z
  .object({ parentPid: z.number(), temporaryDirectory: z.string() })
  .parse(workerData);

setInterval(() => {
  if (process.ppid === parentPid) return;
  rmSync(temporaryDirectory, { recursive: true, force: true });
  process.kill(process.pid, "SIGKILL");
}, POLL_MS);
