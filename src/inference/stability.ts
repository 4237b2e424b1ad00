import { median, probit } from "simple-statistics";
import type { Stability } from "./messages.js";

/** Beyond this many samples 2⁻ⁿ nears the smallest number; the normal approximation is exact by then. */
const EXACT_SAMPLES_MAX = 1_000;

/**
 * Confidence interval of the median whatever the distribution, from order statistics: how many of n
 * independent samples lie below the median is binomial (n, ½), so the k-th smallest and the k-th
 * largest enclose it with probability 1 − 2·P(below < k). The largest such k is taken.
 * @param sorted samples in milliseconds, ascending
 * @returns undefined where even the extremes are less certain than `confidence`
 */
export function medianInterval(
  sorted: readonly number[],
  confidence: number,
): { lowMs: number; highMs: number } | undefined {
  const rank = intervalRank(sorted.length, (1 - confidence) / 2);
  const lowMs = sorted[rank - 1];
  const highMs = sorted[sorted.length - rank];
  return lowMs === undefined || highMs === undefined ? undefined : { lowMs, highMs };
}

/**
 * True when enough is known: the median is certain within the target, or no sample is longer than
 * what does not matter.
 */
export function isStable(samplesMs: readonly number[], target: Stability): boolean {
  const sorted = [...samplesMs].sort((a, b) => a - b);
  const largestMs = sorted.at(-1);
  if (largestMs !== undefined && largestMs <= target.negligibleMs) return true;
  const interval = medianInterval(sorted, target.confidence);
  if (interval === undefined) return false;
  const middleMs = (interval.lowMs + interval.highMs) / 2;
  const halfWidthMs = (interval.highMs - interval.lowMs) / 2;
  return halfWidthMs <= Math.max(target.relativeHalfWidth * middleMs, target.negligibleMs);
}

/** True when there is an earlier measurement, and the median of the runs is as near to it as asked. */
export function agreesWithEarlier(
  samplesMs: readonly number[],
  target: Stability | undefined,
): boolean {
  const earlier = target?.earlier;
  if (earlier === undefined || samplesMs.length === 0) return false;
  const offMs = Math.abs(median([...samplesMs]) - earlier.timeMs);
  return offMs <= earlier.relativeHalfWidth * earlier.timeMs;
}

/** Largest k with P(binomial (n, ½) < k) ≤ `tail`; 0 where there is none. */
function intervalRank(samples: number, tail: number): number {
  if (samples > EXACT_SAMPLES_MAX) {
    return Math.max(0, Math.floor((samples + probit(tail) * Math.sqrt(samples)) / 2));
  }
  let probability = 2 ** -samples;
  let below = 0;
  let rank = 0;
  while (rank < samples) {
    below += probability;
    if (below > tail) break;
    rank += 1;
    probability *= (samples - rank + 1) / rank;
  }
  return rank;
}
