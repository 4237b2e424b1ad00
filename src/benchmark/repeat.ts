import type { Repeat } from "../inference/index.js";
import type { BenchmarkOptions } from "./options.js";

/** Of what is to be exact; see `Repeat`. */
const SETTLE_MS = 40;

/** How often something is run: until its median is known, or wrong by no more than `negligibleMs`. */
export function repeatOf(options: BenchmarkOptions, negligibleMs: number): Repeat {
  return {
    warmups: options.warmups,
    repeats: options.repeats,
    ...(negligibleMs === 0 ? { settleMs: SETTLE_MS } : {}),
    budgetMs: options.blockBudgetMs,
    stability: {
      relativeHalfWidth: options.targetPercent / 100,
      confidence: options.confidence,
      negligibleMs,
      repeatsMax: Math.max(options.repeats, options.repeatsMax),
    },
  };
}

/** The same, where an earlier benchmark found `expectedMs`: two runs that agree with it suffice. */
export function expecting(repeat: Repeat, expectedMs: number): Repeat {
  const { stability } = repeat;
  if (stability === undefined || expectedMs <= 0) return repeat;
  return { ...repeat, stability: { ...stability, expectedMs } };
}
