import type { Clock } from "../core/index.js";
import type { BenchmarkOptions } from "./options.js";

/** How often a pause looks whether it may end. */
const POLL_MS = 200;

/** Share of a benchmark's time limit that its pauses may take. */
const PAUSED_SHARE_MAX = 1 / 3;

export interface PaceOptions {
  /** Share of its wall time in which the benchmark may work; it rests between its steps. */
  cpuSharePercent: number;
  /** All pauses of one benchmark together; beyond it only its low priority protects live work. */
  pausedMsMax: number;
}

/** The pace that a benchmark with these options keeps. */
export function paceOf({
  cpuSharePercent,
  timeoutMs,
}: Pick<BenchmarkOptions, "cpuSharePercent" | "timeoutMs">): PaceOptions {
  return { cpuSharePercent, pausedMsMax: timeoutMs * PAUSED_SHARE_MAX };
}

/**
 * What a benchmark waits for before each of its steps: a rest in proportion to the step behind it, so
 * that it keeps to its share, and the end of live work that needs the machine. Made when the benchmark
 * begins: what comes before the first step counts as a step.
 */
export function createPace(
  { cpuSharePercent, pausedMsMax }: PaceOptions,
  deps: { clock: Clock; isBusy: () => boolean },
): (signal: AbortSignal) => Promise<void> {
  const { clock, isBusy } = deps;
  let workSinceMs = clock.monotonicMs();
  let pausedMs = 0;
  return async (signal) => {
    const workedMs = clock.monotonicMs() - workSinceMs;
    const restMs = workedMs * (100 / cpuSharePercent - 1);
    if (restMs > 0) await clock.sleep(restMs, signal);
    while (isBusy() && pausedMs < pausedMsMax && !signal.aborted) {
      const pauseMs = Math.min(POLL_MS, pausedMsMax - pausedMs);
      await clock.sleep(pauseMs, signal);
      pausedMs += pauseMs;
    }
    workSinceMs = clock.monotonicMs();
  };
}
