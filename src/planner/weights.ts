import type { CostModel } from "./options.js";
import type { PlanningLink, PlanningProblem } from "./problem.js";
import type { Arc, Routes } from "./routes.js";
import { LIMIT_TOLERANCE, type Limit, type Rules } from "./rules.js";

const BITS_PER_BYTE = 8;
/** Bits per millisecond at one megabit per second. */
const BITS_PER_MS_AND_MBPS = 1_000;

/** Milliseconds that `bytes` take over `link`: a part of the round trip, then the bits. */
export function transferMs(link: PlanningLink, bytes: number, costModel: CostModel): number {
  const bitsMs = (bytes * BITS_PER_BYTE) / (link.bandwidthMbps * BITS_PER_MS_AND_MBPS);
  return costModel.rttFactor * link.rttMs + bitsMs;
}

/** Bytes that cross each cut; cut 0 is in front of the first block. */
export function bytesAtCuts(problem: PlanningProblem): number[] {
  return [problem.inputBytes, ...problem.blocks.map((block) => block.outputBytes)];
}

/** A quantity that adds up along a plan. */
export interface Weights {
  /** [stop][block]: what it costs that the stop runs the block. */
  run: readonly Float64Array[];
  /** What it costs that the data at cut `cut` goes along `arc`. */
  pass: (arc: Arc, cut: number) => number;
}

/** A quantity of which a plan may have at most `max`. */
export interface Budget extends Weights {
  max: number;
}

export type ToTicks = (ms: number) => number;

const RESOLUTION_BITS = 40;

/**
 * Times as whole numbers of a tick that is a power of two. Such sums are exact in whatever order they
 * are made, so plans that cost the same compare as the same, and no ranking depends on noise in the
 * sixteenth digit. A tick is at least a 10^12th of the fastest whole model.
 */
export function tickGrid(problem: PlanningProblem): ToTicks {
  const totalsMs = problem.nodes
    .map((node) => node.blockMs.reduce((sum, ms) => sum + ms, 0))
    .filter((totalMs) => totalMs > 0);
  const scaleMs = totalsMs.length === 0 ? 1 : Math.min(...totalsMs);
  const ticksPerMs = 2 ** (RESOLUTION_BITS - Math.ceil(Math.log2(scaleMs)));
  return (ms) => Math.round(ms * ticksPerMs);
}

/** Predicted latency in ticks. */
export function latencyWeights(
  problem: PlanningProblem,
  routes: Routes,
  toTicks: ToTicks,
): Weights {
  const bytes = bytesAtCuts(problem);
  return {
    run: computeTicks(problem, routes, toTicks),
    pass: ({ link }, cut) =>
      link === undefined ? 0 : toTicks(transferMs(link, bytes[cut] ?? 0, problem.costModel)),
  };
}

function computeTicks(
  problem: PlanningProblem,
  routes: Routes,
  toTicks: ToTicks,
): readonly Float64Array[] {
  const ticks = new Map(
    problem.nodes.map((node) => [node.name, Float64Array.from(node.blockMs, toTicks)]),
  );
  return routes.stops.map(({ node }) => ticks.get(node.name) ?? new Float64Array());
}

/**
 * Everything that couples the parts of a plan: limits on sums, and on paths (where the graph of
 * routes cannot express it) nodes and tiers that must be used.
 */
export function budgetsOf(
  problem: PlanningProblem,
  context: { routes: Routes; rules: Rules; latency: Weights; toTicks: ToTicks },
): Budget[] {
  const { routes, rules, latency, toTicks } = context;
  const budgets: Budget[] = [];
  for (const limit of rules.limits) {
    // Along the tiers a tier or node sends onward once, and arcs too small for that are closed.
    if (limit.kind === "uploadBytes" && problem.paths === undefined) continue;
    budgets.push(limitBudget(limit, { problem, routes, latency, toTicks }));
  }
  const { latencyMsMax } = problem.constraints;
  if (latencyMsMax !== undefined) {
    budgets.push({ ...latency, max: toTicks(latencyMsMax * (1 + LIMIT_TOLERANCE)) });
  }
  if (problem.paths !== undefined) budgets.push(...requirementBudgets(problem, routes, rules));
  return budgets;
}

function limitBudget(
  limit: Limit,
  context: { problem: PlanningProblem; routes: Routes; latency: Weights; toTicks: ToTicks },
): Budget {
  const { problem, routes, latency, toTicks } = context;
  const covered = routes.stops.map((stop) => limit.covers(stop.node.name));
  switch (limit.kind) {
    case "uploadBytes": {
      const bytes = bytesAtCuts(problem);
      const isUpload = ({ link, to, fromNode }: Arc): boolean =>
        link !== undefined && to !== undefined && limit.covers(fromNode);
      return {
        run: latency.run.map((row) => new Float64Array(row.length)),
        pass: (arc, cut) => (isUpload(arc) ? (bytes[cut] ?? 0) : 0),
        max: limit.max * (1 + LIMIT_TOLERANCE),
      };
    }
    case "computeMs":
      return {
        run: latency.run.map((row, stop) => row.map((ticks) => (covered[stop] ? ticks : 0))),
        pass: free,
        max: toTicks(limit.max * (1 + LIMIT_TOLERANCE)),
      };
    case "computePercent": {
      // Σ covered ≤ share × Σ all, as one sum: (1 − share) of what is covered, −share of the rest.
      const share = (limit.max / 100) * (1 + LIMIT_TOLERANCE);
      return {
        run: latency.run.map((row, stop) =>
          row.map((ticks) => ticks * (covered[stop] ? 1 - share : -share)),
        ),
        pass: free,
        max: 0,
      };
    }
  }
}

/** "Used" as a sum: every block that runs on one of the wanted nodes counts −1, and −1 is the most. */
function requirementBudgets(problem: PlanningProblem, routes: Routes, rules: Rules): Budget[] {
  const wanted = [
    ...[...rules.requiredTiers.keys()].map(
      (tier) => (stop: Routes["stops"][number]) => stop.node.tier === tier,
    ),
    ...rules.requiredNodes.map(
      ({ anyOf }) =>
        (stop: Routes["stops"][number]) =>
          anyOf.includes(stop.node.name),
    ),
  ];
  return wanted.map((isWanted) => ({
    run: routes.stops.map((stop) =>
      new Float64Array(problem.blocks.length).fill(isWanted(stop) ? -1 : 0),
    ),
    pass: free,
    max: -1,
  }));
}

function free(): number {
  return 0;
}
