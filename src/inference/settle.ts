import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { Clock } from "../core/index.js";
import { isSlowed } from "./disturbance.js";

/** So many processors are tried at most; each costs a few milliseconds. */
const PROCESSORS_MAX = 4;
const TASKSET_TIMEOUT_MS = 2_000;
/** What slows a processor down from outside lasts for milliseconds or minutes: waits double. */
const WAIT_MS_FIRST = 25;

const run = promisify(execFile);

export interface Settler {
  /**
   * Moves the process from one processor to another, and waits up to `patienceMs`, until it has one
   * that is as fast as any was so far. @returns whether it has
   */
  settle(patienceMs: number): Promise<boolean>;
}

/**
 * Keeps a process that measures away from processors that are slowed down from outside. Which ones
 * those are is seen from a yardstick only, and the system's scheduler knows nothing of it.
 */
export function createSettler(context: {
  pid: number;
  /** Whether it may be moved: a process of several threads needs several processors. */
  isMovable: boolean;
  clock: Clock;
  /** Rejects when the process has gone. */
  readYardstick: () => Promise<number>;
  /** Ends the process, and with it the wait. */
  signal?: AbortSignal | undefined;
}): Settler {
  const { pid, clock, readYardstick, signal } = context;
  let isMovable = context.isMovable;
  let fastestMs = Infinity;
  const read = async (): Promise<number> => {
    const yardstickMs = await readYardstick();
    fastestMs = Math.min(fastestMs, yardstickMs);
    return yardstickMs;
  };
  const move = async (processor: number): Promise<void> => {
    isMovable &&= await pin(pid, String(processor));
  };
  const tryProcessors = async (): Promise<number> => {
    let best: { processor: number; yardstickMs: number } | undefined;
    let slowestMs = 0;
    const allowed = await allowedProcessors();
    for (const processor of parseProcessors(allowed)) {
      await move(processor);
      if (!isMovable) break;
      const yardstickMs = await read();
      slowestMs = Math.max(slowestMs, yardstickMs);
      if (best === undefined || yardstickMs < best.yardstickMs) best = { processor, yardstickMs };
    }
    // What could be moved in part only must not stay where that left it.
    if (!isMovable) await pin(pid, allowed);
    if (best === undefined || !isMovable) return read();
    // Where they are alike, the system's scheduler knows better which one is idle.
    if (isSlowed(slowestMs, best.yardstickMs)) await move(best.processor);
    else isMovable &&= await pin(pid, allowed);
    return best.yardstickMs;
  };
  return {
    async settle(patienceMs) {
      const isFirst = fastestMs === Infinity;
      let yardstickMs = await read();
      if (!isFirst && !isSlowed(yardstickMs, fastestMs)) return true;
      let leftMs = patienceMs;
      for (let waitMs = WAIT_MS_FIRST; ; waitMs *= 2) {
        if (isMovable) yardstickMs = await tryProcessors();
        if (!isSlowed(yardstickMs, fastestMs)) return true;
        if (leftMs <= 0) return false;
        await clock.sleep(Math.min(waitMs, leftMs), signal);
        leftMs -= waitMs;
        yardstickMs = await read();
      }
    },
  };
}

/** The processors that the system lets us use, such as "0-3,8"; empty where it does not tell. */
async function allowedProcessors(): Promise<string> {
  // The child's own list is what it was moved to; ours is what the operator made it.
  const status = await readFile("/proc/self/status", "utf8").catch(() => "");
  return /^Cpus_allowed_list:\s+([\d,-]+)$/m.exec(status)?.[1] ?? "";
}

/** The first processors of a list such as "0-3,8". */
export function parseProcessors(list: string): number[] {
  const processors: number[] = [];
  for (const part of list.split(",")) {
    const [first, last] = part.split("-").map(Number);
    if (part === "" || first === undefined || Number.isNaN(first)) continue;
    for (let one = first; one <= (last ?? first); one++) {
      if (processors.length === PROCESSORS_MAX) return processors;
      processors.push(one);
    }
  }
  return processors;
}

/** Moves all threads of a process; false where that cannot be. */
async function pin(pid: number, processors: string): Promise<boolean> {
  try {
    await run("taskset", ["-acp", processors, String(pid)], { timeout: TASKSET_TIMEOUT_MS });
    return true;
  } catch {
    return false;
  }
}
