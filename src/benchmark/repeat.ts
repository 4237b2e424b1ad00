import type { Repeat } from "../inference/index.js";
import type { BenchmarkOptions } from "./options.js";
import { ALIKE_MAX } from "./statistics.js";

/** Of what is to be exact; see `Repeat`. */
const SETTLE_MS = 40;
const RUN_FOR_MS = 40;
/** The same where it was measured before. */
const SETTLE_MS_AGAIN = 10;

/** How often something is run: until its median is known, or wrong by no more than `negligibleMs`. */
export function repeatOf(options: BenchmarkOptions, negligibleMs: number): Repeat {
  return {
    warmups: options.warmups,
    repeats: options.repeats,
    ...(negligibleMs === 0 ? { settleMs: SETTLE_MS, runForMs: RUN_FOR_MS } : {}),
    budgetMs: options.blockBudgetMs,
    stability: {
      relativeHalfWidth: options.targetPercent / 100,
      confidence: options.confidence,
      negligibleMs,
      repeatsMax: Math.max(options.repeats, options.repeatsMax),
    },
  };
}

/**
 * The same, where an earlier benchmark found `earlierMs`: one run that is like it suffices, as it is of
 * another moment, and it need not be that of a model that has settled quite.
 */
export function expecting(repeat: Repeat, earlierMs: number): Repeat {
  const { stability } = repeat;
  if (stability === undefined || earlierMs <= 0) return repeat;
  const earlier = { timeMs: earlierMs, relativeHalfWidth: ALIKE_MAX - 1 };
  return {
    ...repeat,
    settleMs: SETTLE_MS_AGAIN,
    runForMs: 0,
    stability: { ...stability, earlier },
  };
}
