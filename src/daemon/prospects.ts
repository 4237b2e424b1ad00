import { latencyOf, type LinkHistory, momentsOf, type Outlook, outlookOf } from "../drift/index.js";
import {
  type OpenProblem,
  openProblem,
  type PlanningLink,
  type RankedPlan,
} from "../planner/index.js";
import type { PlanDocument } from "../protocol/index.js";
import { type Bar, isBarred } from "./bars.js";
import type { LinkView } from "./context.js";
import type { Pipeline, Situation } from "./problem.js";
import { bestPlan } from "./rank.js";

/** A plan at the prices of now, and what it takes in the moments that were seen lately. */
export interface Prospect {
  plan: RankedPlan;
  outlook: Outlook;
}

export interface Prospects {
  /** The plan in force; null where there is none or it cannot run any more. */
  current: Prospect | null;
  best: Prospect | null;
  /** Why no plan is possible; null where one is. */
  infeasible: string | null;
  /**
   * The plan at the prices of this moment, which its document shows. The mean over recent moments, by
   * which plans are chosen, still remembers a network that is no more.
   */
  pricedNow: (plan: RankedPlan) => RankedPlan;
}

/**
 * The plan in force beside the best one. Candidates are the plans that are best for the mean over
 * recent moments, and for the newest one; of them that with the lowest expected latency is the best.
 */
export function prospectsOf(
  pipeline: Pipeline,
  now: { situation: Situation; inForce: PlanDocument | null; bars: readonly Bar[] },
): Prospects {
  const { situation, inForce, bars } = now;
  const rate = rater(pipeline, situation);
  const { externalSha256 } = situation;
  const atMean = openProblem(situation.problem);
  const atNewest = atMean.withLinks(newestLinks(situation));
  const current =
    inForce === null
      ? null
      : rate(planInForce(inForce, { pipeline, externalSha256, atMean, bars }));
  const usual = bestPlan(atMean, bars);
  const newest = bestPlan(atNewest, bars);
  const isOne = usual.best !== null && newest.best !== null && isSamePlan(usual.best, newest.best);
  const candidates = [
    current,
    rate(usual.best),
    isOne ? null : rate(repriced(newest.best, atMean)),
  ].filter((prospect) => prospect !== null);
  const best = candidates.reduce<Prospect | null>(
    (a, b) => (a !== null && a.outlook.expectedMs <= b.outlook.expectedMs ? a : b),
    null,
  );
  const infeasible =
    best === null ? (usual.infeasible ?? "every way leads over a dead link") : null;
  const pricedNow = (plan: RankedPlan): RankedPlan => repriced(plan, atNewest) ?? plan;
  return { current, best, infeasible, pricedNow };
}

export function isSamePlan(one: RankedPlan, other: RankedPlan): boolean {
  return (
    one.partitions.length === other.partitions.length &&
    one.partitions.every((partition, index) => {
      const twin = other.partitions[index];
      return partition.node === twin?.node && partition.lastLayer === twin.lastLayer;
    })
  );
}

/** What a plan takes, in every moment that was seen lately and as expected from them. */
function rater(
  pipeline: Pipeline,
  { problem, links }: Situation,
): (plan: RankedPlan | null) => Prospect | null {
  const seen = momentsOf(links.flatMap(historyOf));
  const moments = seen.length > 0 ? seen : [{ atMs: 0, links: new Map() }];
  const device = problem.nodes.find(({ name }) => name === pipeline.source);
  const aloneMs = device?.blockMs.reduce((sum, ms) => sum + ms, 0) ?? Number.POSITIVE_INFINITY;
  const worstMs = aloneMs + pipeline.thresholds.fallbackMs;
  return (plan) => {
    if (plan === null) return null;
    const latencyAt = latencyOf(plan, { costModel: problem.costModel, worstMs });
    const samples = moments.map((moment) => ({ atMs: moment.atMs, latencyMs: latencyAt(moment) }));
    const outlook = outlookOf(samples, pipeline.thresholds);
    return outlook === null ? null : { plan, outlook };
  };
}

/** What is remembered from before a restart counts as one sample until there is a measured one. */
function historyOf(link: LinkView): LinkHistory[] {
  const { from, to, samples, rttMs, secondsPerMegabit, isDown } = link;
  if (samples.length > 0) return [{ from, to, samples }];
  if (isDown || rttMs === null || secondsPerMegabit === null) return [];
  return [{ from, to, samples: [{ atMs: 0, rttMs, bandwidthMbps: 1 / secondsPerMegabit }] }];
}

/** The plan in force at the prices of now; null where it cannot run any more. */
function planInForce(
  plan: PlanDocument,
  now: {
    pipeline: Pipeline;
    externalSha256: string | undefined;
    atMean: OpenProblem;
    bars: readonly Bar[];
  },
): RankedPlan | null {
  if (plan.model.sha256 !== now.pipeline.model.sha256) return null;
  // Plans of older versions do not tell; they are taken for what they most likely are.
  const isOtherData = plan.externalSha256 !== now.externalSha256;
  if (plan.externalSha256 !== undefined && isOtherData) return null;
  if (isBarred(now.bars, plan.partitions)) return null;
  const priced = now.atMean.price({ source: plan.source, partitions: plan.partitions });
  return "infeasible" in priced ? null : priced;
}

/** The links by the newest sample of each alone, without those that are down. */
function newestLinks({ problem, links }: Situation): PlanningLink[] {
  return problem.links.flatMap((link) => {
    const view = links.find(({ from, to }) => from === link.from && to === link.to);
    const last = view?.samples.at(-1);
    if (last === undefined) return [link];
    const { rttMs, bandwidthMbps } = last;
    return bandwidthMbps === 0 ? [] : [{ ...link, rttMs, bandwidthMbps }];
  });
}

/** The same plan at the prices of `problem`; null where it cannot run there. */
function repriced(plan: RankedPlan | null, problem: OpenProblem): RankedPlan | null {
  if (plan === null) return null;
  const priced = problem.price(plan);
  return "infeasible" in priced ? null : priced;
}
