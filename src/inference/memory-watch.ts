import { readFile } from "node:fs/promises";
import type { Clock, Logger } from "../core/index.js";

interface MemoryWatch {
  pid: number;
  limitMiB: number;
  pollMs: number;
  /** Called once, with what was seen. */
  onExceeded(residentMiB: number): void;
}

/**
 * Reads a process's resident memory until `signal` aborts. The kernel offers no limit on resident
 * memory without cgroups, and RLIMIT_AS would also count what V8 merely reserves, so we poll.
 */
export async function watchMemory(
  watch: MemoryWatch,
  deps: { log: Logger; clock: Clock; signal: AbortSignal },
): Promise<void> {
  const { clock, signal } = deps;
  let everRead = false;
  for (;;) {
    const residentMiB = await readResidentMiB(watch.pid);
    if (signal.aborted) return;
    if (residentMiB === undefined) {
      if (!everRead) deps.log.warn({}, "no /proc here: the memory limit of models is not kept");
      return;
    }
    everRead = true;
    if (residentMiB > watch.limitMiB) {
      watch.onExceeded(residentMiB);
      return;
    }
    await clock.sleep(watch.pollMs, signal);
  }
}

/** `VmRSS` of /proc/<pid>/status: in kB whatever the page size. Undefined where it cannot be read. */
async function readResidentMiB(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) / 1_024;
}
