import { errorFunction } from "simple-statistics";

/**
 * Expected mean and variance over the elements of a tensor. The builder carries them from layer to
 * layer, so that batch normalization gets statistics that fit what really arrives, and activations
 * stay in a normal range through any depth: denormals and infinities would falsify timings.
 */
export interface Moments {
  readonly mean: number;
  readonly variance: number;
}

export const STANDARD: Moments = { mean: 0, variance: 1 };

/** Mean of the squares. */
export function powerOf({ mean, variance }: Moments): number {
  return mean * mean + variance;
}

/** Moments of max(0, x) for normal x (the rectified Gaussian). */
export function rectified({ mean, variance }: Moments): Moments {
  const deviation = Math.sqrt(variance);
  const z = mean / deviation;
  const above = 0.5 * (1 + errorFunction(z / Math.SQRT2));
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  const rectifiedMean = mean * above + deviation * density;
  const power = (mean * mean + variance) * above + mean * deviation * density;
  return { mean: rectifiedMean, variance: Math.max(power - rectifiedMean ** 2, 1e-6) };
}

/** Moments of a weighted sum of independent values. */
export function summed(terms: readonly { moments: Moments; factor: number }[]): Moments {
  let mean = 0;
  let variance = 0;
  for (const { moments, factor } of terms) {
    mean += factor * moments.mean;
    variance += factor * factor * moments.variance;
  }
  return { mean, variance };
}

/** Moments of values drawn from one of several populations. */
export function mixed(parts: readonly { moments: Moments; weight: number }[]): Moments {
  const total = parts.reduce((sum, part) => sum + part.weight, 0);
  let mean = 0;
  let power = 0;
  for (const { moments, weight } of parts) {
    mean += (weight / total) * moments.mean;
    power += (weight / total) * powerOf(moments);
  }
  return { mean, variance: power - mean * mean };
}
