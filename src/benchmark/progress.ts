import type { Clock } from "../core/index.js";
import type { BenchmarkProgress, ModelRef } from "../protocol/index.js";
import type { Progress } from "./steps.js";

const TELL_PAUSE_MS = 1_000;
const WHAT_CHARACTERS_MAX = 200;
const MS_PER_SECOND = 1_000;

/** Tells how far a benchmark is, at most once a second, with the time left as its pace so far has it. */
export function tellProgress(
  model: ModelRef,
  deps: { clock: Clock; tell: (progress: BenchmarkProgress) => void },
): (progress: Progress) => void {
  const { clock, tell } = deps;
  let startedMs = clock.monotonicMs();
  let startedAt: number | undefined;
  let toldMs = Number.NEGATIVE_INFINITY;
  return ({ done, total, what }) => {
    const nowMs = clock.monotonicMs();
    // What comes from a checkpoint takes no time and says nothing about the pace.
    if (startedAt === undefined || nowMs - startedMs < 1) {
      startedAt = done;
      startedMs = nowMs;
    }
    const isLast = done >= total;
    if (nowMs - toldMs < TELL_PAUSE_MS && !isLast) return;
    toldMs = nowMs;
    const worked = done - startedAt;
    const secondsLeft =
      worked <= 0 ? null : ((nowMs - startedMs) * (total - done)) / worked / MS_PER_SECOND;
    tell({ model, done, total, what: what.slice(0, WHAT_CHARACTERS_MAX), secondsLeft });
  };
}
