import { type CostModel, type RankedPlan, transferMs } from "../planner/index.js";

/** So many moments are looked back at; older ones hardly weigh. */
export const MOMENTS_MAX = 64;

/** What is known of one direction of a link; a bandwidth of 0 means that nothing passes. */
export interface LinkQuality {
  rttMs: number;
  bandwidthMbps: number;
}

/** The links as they were at one moment, by `linkKey`. */
export interface Moment {
  /** Monotonic. */
  readonly atMs: number;
  readonly links: ReadonlyMap<string, LinkQuality>;
}

export function linkKey(path: { from: string; to: string }): string {
  return `${path.from}\n${path.to}`;
}

/**
 * Milliseconds that `plan` takes in `moment`: what it computes, and each hop at the quality that its
 * link has. A request whose transfer fails is computed on the device, so never more than `worstMs`.
 */
export function latencyAt(
  plan: Pick<RankedPlan, "partitions" | "hops">,
  moment: Moment,
  terms: LatencyTerms,
): number {
  return latencyOf(plan, terms)(moment);
}

export interface LatencyTerms {
  costModel: CostModel;
  worstMs: number;
}

/** The same for any number of moments. */
export function latencyOf(
  plan: Pick<RankedPlan, "partitions" | "hops">,
  { costModel, worstMs }: LatencyTerms,
): (moment: Moment) => number {
  const computeMs = plan.partitions.reduce((sum, partition) => sum + partition.computeMs, 0);
  const hops = plan.hops.map((hop) => ({ key: linkKey(hop), bytes: hop.bytes }));
  return ({ links }) => {
    let latencyMs = computeMs;
    for (const { key, bytes } of hops) {
      const quality = links.get(key);
      if (quality === undefined || quality.bandwidthMbps === 0) return worstMs;
      latencyMs += transferMs(quality, bytes, costModel);
    }
    return Math.min(latencyMs, worstMs);
  };
}

/** What one plan takes: in the newest moment, and as expected from the recent ones. */
export interface Outlook {
  newestMs: number;
  expectedMs: number;
}

/**
 * The expected latency over recent moments: the newest one has its fixed share, and all of them,
 * weighted by 2^(−age / half-life), make up the rest. The mean of latencies is what a plan costs; the
 * latency at the mean rate is not, as real links have heavy tails (DESIGN, section 8).
 * `samples` are in order of time. Null where the newest is infinite: the plan cannot run. Times at
 * which it could not run say nothing about what it takes when it can, so they are left out.
 */
export function outlookOf(
  samples: readonly { atMs: number; latencyMs: number }[],
  weighing: { smoothingHalfLifeSeconds: number; newestSamplePercent: number },
): Outlook | null {
  const newest = samples.at(-1);
  if (newest === undefined || !Number.isFinite(newest.latencyMs)) return null;
  const halfLifeMs = weighing.smoothingHalfLifeSeconds * 1_000;
  let weights = 0;
  // Around the newest value, so that constant input stays exactly constant.
  let excess = 0;
  for (const { atMs, latencyMs } of samples) {
    if (!Number.isFinite(latencyMs)) continue;
    const weight = 2 ** ((atMs - newest.atMs) / halfLifeMs);
    weights += weight;
    if (latencyMs !== newest.latencyMs) excess += weight * (latencyMs - newest.latencyMs);
  }
  const restShare = 1 - weighing.newestSamplePercent / 100;
  const expectedMs = newest.latencyMs + (restShare * excess) / weights;
  return { newestMs: newest.latencyMs, expectedMs };
}
