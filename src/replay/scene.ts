import { latencyAt, linkKey, type LinkQuality, type Moment } from "../drift/index.js";
import type { PlanningProblem, RankedPlan } from "../planner/index.js";
import type { Tier } from "../protocol/index.js";

/** Two tiers; the links between them, in both directions, get the bandwidth of the trace. */
export type TierPair = readonly [Tier, Tier];

/** What does not change while a trace is replayed. */
export interface Scene {
  /** With the links as they were before the trace. */
  problem: PlanningProblem;
  varied: readonly TierPair[];
  /** What a request loses when a transfer fails, before the device computes alone. */
  fallbackMs: number;
}

/** The planning problem at one bandwidth of the varied links; at 0 there are none of them. */
export function problemAt(scene: Scene, mbps: number): PlanningProblem {
  const isVaried = variedTest(scene);
  const links = scene.problem.links.flatMap((link) => {
    if (!isVaried(link)) return [link];
    return mbps === 0 ? [] : [{ ...link, bandwidthMbps: mbps }];
  });
  return { ...scene.problem, links, topK: 1 };
}

/** The planning problem with the links as they are in `moment`; those that are down are left out. */
export function problemIn({ problem }: Scene, moment: Moment): PlanningProblem {
  const links = problem.links.flatMap((link) => {
    const quality = moment.links.get(linkKey(link));
    return quality === undefined || quality.bandwidthMbps === 0 ? [] : [{ ...link, ...quality }];
  });
  return { ...problem, links, topK: 1 };
}

/** The links of the scene at one bandwidth of the varied ones. */
export function momentAt(scene: Scene, atMs: number, mbps: number): Moment {
  const isVaried = variedTest(scene);
  const links = new Map<string, LinkQuality>(
    scene.problem.links.map((link) => [
      linkKey(link),
      isVaried(link) ? { rttMs: link.rttMs, bandwidthMbps: mbps } : link,
    ]),
  );
  return { atMs, links };
}

/** The links as they were before anything was replayed. */
export function momentBefore({ problem }: Scene): Moment {
  return { atMs: 0, links: new Map(problem.links.map((link) => [linkKey(link), link])) };
}

/** What `plan` takes in `moment`, a failing transfer included. */
export function latencyIn(scene: Scene, plan: RankedPlan, moment: Moment): number {
  const worstMs = deviceOnlyMs(scene, plan.source) + scene.fallbackMs;
  return latencyAt(plan, moment, { costModel: scene.problem.costModel, worstMs });
}

/** How many links the trace replaces. */
export function countVariedLinks(scene: Scene): number {
  return scene.problem.links.filter(variedTest(scene)).length;
}

/** The whole model on the device; infinite where it has not been measured there. */
function deviceOnlyMs(scene: Scene, device: string): number {
  const node = scene.problem.nodes.find((candidate) => candidate.name === device);
  return node?.blockMs.reduce((sum, ms) => sum + ms, 0) ?? Number.POSITIVE_INFINITY;
}

function variedTest({ problem, varied }: Scene): (link: { from: string; to: string }) => boolean {
  const tiers = new Map<string, Tier>([
    // A source without a profile is in no list of nodes; what only sends is a device.
    ...problem.sources.map((name): [string, Tier] => [name, "device"]),
    ...problem.nodes.map(({ name, tier }): [string, Tier] => [name, tier]),
  ]);
  return ({ from, to }) => {
    const [a, b] = [tiers.get(from), tiers.get(to)];
    return varied.some(([one, other]) => (a === one && b === other) || (a === other && b === one));
  };
}
