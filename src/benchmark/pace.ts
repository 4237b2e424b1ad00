import type { Clock } from "../core/index.js";
import type { BenchmarkOptions } from "./options.js";

/** How often a rest looks whether it may end. */
const POLL_MS = 200;

/** Share of a benchmark's time limit that its waits for live work may take. */
const PAUSED_SHARE_MAX = 1 / 3;

/** The same of a confirmation: a decision waits for one after another, all within one such limit. */
const CONFIRMING_PAUSED_SHARE_MAX = 1 / 10;

/** Live work on the node: none, some, or more than it can serve. */
export type LiveWork = "none" | "some" | "overload";

export interface PaceOptions {
  /** Share of its wall time in which the benchmark may work; it rests between its steps. */
  cpuSharePercent: number;
  /** The same beside live work: a step slows what runs at the same time, whatever its priority. */
  liveSharePercent: number;
  /** All waits of one benchmark for live work together; beyond it `cpuSharePercent` holds again. */
  pausedMsMax: number;
}

/** The pace that a benchmark with these options keeps. */
export function paceOf({
  cpuSharePercent,
  liveSharePercent,
  timeoutMs,
}: Pick<BenchmarkOptions, "cpuSharePercent" | "liveSharePercent" | "timeoutMs">): PaceOptions {
  return { cpuSharePercent, liveSharePercent, pausedMsMax: timeoutMs * PAUSED_SHARE_MAX };
}

/**
 * The pace that a confirmation keeps: a plan waits for it, so it rests beside live work only, and not
 * for as long as a benchmark would.
 */
export function confirmingPaceOf({
  liveSharePercent,
  timeoutMs,
}: Pick<BenchmarkOptions, "liveSharePercent" | "timeoutMs">): PaceOptions {
  return {
    cpuSharePercent: 100,
    liveSharePercent,
    pausedMsMax: timeoutMs * CONFIRMING_PAUSED_SHARE_MAX,
  };
}

/**
 * What a benchmark waits for before each of its steps: a rest in proportion to the step behind it, so
 * that it keeps to its share, and the end of an overload. Made when the benchmark begins: what comes
 * before the first step counts as a step.
 */
export function createPace(
  { cpuSharePercent, liveSharePercent, pausedMsMax }: PaceOptions,
  deps: { clock: Clock; liveWork: () => LiveWork },
): (signal: AbortSignal) => Promise<void> {
  const { clock, liveWork } = deps;
  let workSinceMs = clock.monotonicMs();
  let pausedMs = 0;
  return async (signal) => {
    const workedMs = clock.monotonicMs() - workSinceMs;
    const restMs = restAfter(workedMs, cpuSharePercent);
    if (restMs > 0) await clock.sleep(restMs, signal);
    const liveRestMs = restAfter(workedMs, liveSharePercent) - restMs;
    let restedMs = 0;
    const mustWait = (): boolean => {
      const live = liveWork();
      return live === "overload" || (live === "some" && restedMs < liveRestMs);
    };
    while (mustWait() && pausedMs < pausedMsMax && !signal.aborted) {
      const pauseMs = Math.min(POLL_MS, pausedMsMax - pausedMs);
      await clock.sleep(pauseMs, signal);
      restedMs += pauseMs;
      pausedMs += pauseMs;
    }
    workSinceMs = clock.monotonicMs();
  };
}

function restAfter(workedMs: number, sharePercent: number): number {
  return workedMs * (100 / sharePercent - 1);
}
