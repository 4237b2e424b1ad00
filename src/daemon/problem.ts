import type { DriftOptions } from "../drift/index.js";
import type { Constraints, PlanningProblem } from "../planner/index.js";
import type { NodeState, Profile } from "../protocol/index.js";
import type { Context, LinkView } from "./context.js";

/** One model served for one source device: the unit that gets a plan. */
export interface Pipeline {
  name: string;
  model: { name: string; sha256: string };
  source: string;
  constraints: Constraints;
  costModel: { rttFactor: number; returnResult: boolean };
  thresholds: DriftOptions;
  /** Of its device. */
  requestsPerSecond: number;
  /** An operator wants the plan in force to stay. */
  isPaused?: boolean;
}

/** Everything the planner needs for one pipeline at one moment, and what drift is judged by. */
export interface Situation {
  problem: PlanningProblem;
  nodes: readonly Candidate[];
  links: readonly LinkView[];
  /** The problem with every node idle. */
  idle: PlanningProblem;
  /** By node, how many times as long as when idle it takes: the times of `problem` have it. */
  loadFactors: ReadonlyMap<string, number>;
  /** Of the model's external data, with which all of the nodes measured it; absent where it has none. */
  externalSha256?: string | undefined;
}

interface Candidate {
  state: NodeState;
  profile: Profile;
}

/**
 * The planning problem of a pipeline in the present context, or what is missing for one.
 * Candidates are the source and every online edge and cloud node that has a profile of the model.
 */
export function situationOf(pipeline: Pipeline, context: Context): Situation | { missing: string } {
  const known: Candidate[] = [];
  for (const state of context.nodes()) {
    const isCandidate = state.node === pipeline.source || state.tier !== "device";
    if (!isCandidate || state.status !== "online") continue;
    const profile = context.profileFor(pipeline.model.sha256, state);
    if (profile !== undefined) known.push({ state, profile });
  }
  const candidates = ofNewestData(known);
  const [first] = candidates;
  if (first === undefined) {
    return { missing: `no online node has a profile of ${pipeline.model.name} yet` };
  }
  const names = new Set([pipeline.source, ...candidates.map(({ state }) => state.node)]);
  const links = context.links().filter((link) => names.has(link.from) && names.has(link.to));
  const ends = commonBlockEnds(candidates.map(({ profile }) => profile));
  const problem: PlanningProblem = {
    blocks: blocksOf(first.profile, ends),
    inputBytes: first.profile.inputBytes,
    nodes: candidates.map(({ state, profile }) => ({
      name: state.node,
      tier: state.tier,
      blockMs: blockMsOf(profile, ends),
    })),
    links: links.flatMap(usableLink),
    sources: [pipeline.source],
    costModel: pipeline.costModel,
    constraints: pipeline.constraints,
    topK: 1,
  };
  return {
    problem,
    idle: problem,
    loadFactors: new Map(),
    nodes: candidates,
    links,
    externalSha256: first.profile.externalSha256,
  };
}

/**
 * Those that measured the model with the external data which was measured last. The others have not
 * met what lies beside it now, and no plan has partitions of both.
 */
function ofNewestData(candidates: readonly Candidate[]): Candidate[] {
  const times = candidates.map(({ profile }) => profile.measuredAt);
  const newest = candidates[times.indexOf(Math.max(...times))];
  return candidates.filter(
    ({ profile }) => profile.externalSha256 === newest?.profile.externalSha256,
  );
}

/**
 * At its usual quality, also during an outage that may be a short one: what outages cost is judged by
 * the moments themselves. Not at all where nothing has passed for as long as anybody remembers.
 */
function usableLink(link: LinkView): PlanningProblem["links"] {
  if (link.rttMs === null || link.secondsPerMegabit === null) return [];
  const isUsual = link.samples.some((sample) => sample.bandwidthMbps > 0);
  if (link.isDown && !isUsual) return [];
  return [
    {
      from: link.from,
      to: link.to,
      rttMs: link.rttMs,
      bandwidthMbps: 1 / link.secondsPerMegabit,
    },
  ];
}

/** Last layers of the blocks that all profiles share: nodes may have been measured with finer cuts. */
function commonBlockEnds(profiles: readonly Profile[]): number[] {
  const [first, ...others] = profiles.map(
    (profile) => new Set(profile.blocks.map((block) => block.lastLayer)),
  );
  return [...(first ?? [])].filter((end) => others.every((ends) => ends.has(end)));
}

function blocksOf(profile: Profile, ends: readonly number[]): PlanningProblem["blocks"] {
  const inputs = new Set(profile.inputNames);
  let at = 0;
  return ends.map((lastLayer, index) => {
    const previous = ends[index - 1];
    while ((profile.blocks[at]?.lastLayer ?? lastLayer) < lastLayer) at += 1;
    const block = profile.blocks[at];
    return {
      firstLayer: previous === undefined ? 0 : previous + 1,
      lastLayer,
      outputBytes: block?.outputBytes ?? 0,
      carriesInput: block?.cutTensors.some(({ name }) => inputs.has(name)) ?? false,
    };
  });
}

function blockMsOf(profile: Profile, ends: readonly number[]): number[] {
  const times = ends.map(() => 0);
  let at = 0;
  for (const block of profile.blocks) {
    while (block.lastLayer > (ends[at] ?? Number.POSITIVE_INFINITY)) at += 1;
    times[at] = (times[at] ?? 0) + block.medianMs;
  }
  return times;
}
