import { strict as assert } from "node:assert";

/** Mean of the samples so far, each weighted by 2^(−age / half-life). */
export interface Estimate {
  readonly mean: number;
  /** Sum of the weights at `atMs`. */
  readonly weight: number;
  /** Time of the newest sample. */
  readonly atMs: number;
}

/**
 * Adds one sample. Feed milliseconds for round trips and seconds per megabit for bandwidth: the mean of
 * these is the expected cost, which the mean of a rate is not (DESIGN: real links have heavy tails).
 * A sample older than the newest one counts by its age and moves no clock.
 */
export function addSample(
  estimate: Estimate | undefined,
  sample: { value: number; atMs: number },
  halfLifeMs: number,
): Estimate {
  assert(halfLifeMs > 0, "the half-life is positive");
  assert(Number.isFinite(sample.value), "samples are validated before they get here");
  if (estimate === undefined) return { mean: sample.value, weight: 1, atMs: sample.atMs };

  const atMs = Math.max(estimate.atMs, sample.atMs);
  const oldWeight = estimate.weight * decay(atMs - estimate.atMs, halfLifeMs);
  const newWeight = decay(atMs - sample.atMs, halfLifeMs);
  const weight = oldWeight + newWeight;
  if (weight === 0) return estimate;
  // As a step from the old mean, so that constant input stays exactly constant.
  const mean = estimate.mean + (sample.value - estimate.mean) * (newWeight / weight);
  return { mean, weight, atMs };
}

function decay(ageMs: number, halfLifeMs: number): number {
  return 2 ** (-ageMs / halfLifeMs);
}
