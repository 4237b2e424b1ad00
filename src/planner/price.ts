import { checkProblem } from "./check.js";
import { bytesAtCuts } from "./field.js";
import { sumOfBlocks } from "./measured.js";
import { assignmentObstacle, limitsObstacle, type Range } from "./obstacles.js";
import type {
  Assignment,
  PlannedHop,
  PlannedPartition,
  PlanningLink,
  PlanningProblem,
  RankedPlan,
} from "./problem.js";
import { linkTable } from "./routes.js";
import { compileRules, type Rules } from "./rules.js";
import {
  computeJoules,
  computePrice,
  transferJoules,
  transferMs,
  transferPrice,
} from "./weights.js";

/**
 * The price of a given plan in the context of `problem`, or why it cannot run or is not allowed there.
 * Throws PROFILE_INVALID or LINKS_INVALID for a malformed problem.
 */
export function pricePlan(
  problem: PlanningProblem,
  assignment: Assignment,
): RankedPlan | { infeasible: string } {
  checkProblem(problem);
  return priceAssignment(problem, assignment, compileRules(problem));
}

/** The same for a problem that was checked, with its rules. */
export function priceAssignment(
  problem: PlanningProblem,
  assignment: Assignment,
  rules: Rules,
): RankedPlan | { infeasible: string } {
  const ranges = locate(problem, assignment);
  if (typeof ranges === "string") return { infeasible: ranges };
  const { source } = assignment;
  const obstacle = assignmentObstacle(problem, { source, ranges }, rules);
  if (obstacle !== undefined) return { infeasible: obstacle };
  const plan = createPricer(problem)(source, ranges);
  if ("infeasible" in plan) return plan;
  const broken = limitsObstacle(problem, plan, rules);
  return broken === undefined ? plan : { infeasible: broken };
}

/** Adds up plans that are known to be allowed; a hop without link is the only obstacle. */
export type Pricer = (
  source: string,
  ranges: readonly Range[],
) => RankedPlan | { infeasible: string };

export function createPricer(problem: PlanningProblem): Pricer {
  const links = linkTable(problem.links);
  const bytes = bytesAtCuts(problem);
  return (source, ranges) => {
    const hops: PlannedHop[] = [];
    const used: PlanningLink[] = [];
    const ways = ranges.map(({ node, firstBlock }) => ({ to: node.name, cut: firstBlock }));
    if (problem.costModel.returnResult) ways.push({ to: source, cut: problem.blocks.length });
    let at = source;
    for (const { to, cut } of ways) {
      if (to !== at) {
        const link = links.get(at)?.get(to);
        if (link === undefined) return { infeasible: `no link ${at} → ${to}` };
        const moved = bytes[cut] ?? 0;
        const ms = transferMs(link, moved, problem.costModel);
        hops.push({ from: at, to, bytes: moved, transferMs: ms });
        used.push(link);
      }
      at = to;
    }
    const partitions = ranges.map((range) => partitionOf(problem, range));
    return { source, ...totalsOf({ ranges, partitions, used, hops }), partitions, hops };
  };
}

function totalsOf(plan: {
  ranges: readonly Range[];
  partitions: readonly PlannedPartition[];
  used: readonly PlanningLink[];
  hops: readonly PlannedHop[];
}): Omit<RankedPlan, "source" | "partitions" | "hops"> {
  const { ranges, partitions, used, hops } = plan;
  const stagesMs = [
    ...partitions.map(({ computeMs }) => computeMs),
    ...hops.map((hop) => hop.transferMs),
  ];
  return {
    latencyMs: stagesMs.reduce((sum, ms) => sum + ms, 0),
    bottleneckMs: Math.max(...stagesMs),
    energyJoules: total([
      ...partitions.map(({ computeMs }, at) => computeJoules(ranges[at]?.node, computeMs)),
      ...hops.map((hop, at) => transferJoules(used[at], hop.bytes)),
    ]),
    price: total([
      ...partitions.map(({ computeMs }, at) => computePrice(ranges[at]?.node, computeMs)),
      ...hops.map((hop, at) => transferPrice(used[at], hop.bytes)),
    ]),
    transferBytes: hops.reduce((sum, hop) => sum + hop.bytes, 0),
  };
}

/** Null where a part is not known. */
function total(parts: readonly (number | undefined)[]): number | null {
  let sum = 0;
  for (const part of parts) {
    if (part === undefined) return null;
    sum += part;
  }
  return sum;
}

function partitionOf({ blocks }: PlanningProblem, range: Range): PlannedPartition {
  const { node, firstBlock, lastBlock } = range;
  const firstLayer = blocks[firstBlock]?.firstLayer ?? 0;
  const lastLayer = blocks[lastBlock]?.lastLayer ?? 0;
  const measuredMs = node.measured?.find(
    (known) => known.firstLayer === firstLayer && known.lastLayer === lastLayer,
  )?.ms;
  const estimateMs = sumOfBlocks(node, range);
  return {
    node: node.name,
    tier: node.tier,
    firstBlock,
    lastBlock,
    firstLayer,
    lastLayer,
    computeMs: measuredMs ?? estimateMs * (node.estimateFactor ?? 1),
    ...(measuredMs === undefined ? {} : { estimateMs }),
  };
}

/** The assignment in blocks and nodes of the problem, or why it does not fit them. */
function locate(problem: PlanningProblem, assignment: Assignment): Range[] | string {
  const { blocks, nodes, sources } = problem;
  if (!sources.includes(assignment.source)) return `${assignment.source} is no source`;
  const ranges: Range[] = [];
  let firstBlock = 0;
  for (const { node: name, firstLayer, lastLayer } of assignment.partitions) {
    const node = nodes.find((candidate) => candidate.name === name);
    if (node === undefined) return `node ${name} is not available`;
    const lastBlock = blocks.findIndex((block) => block.lastLayer === lastLayer);
    if (blocks[firstBlock]?.firstLayer !== firstLayer || lastBlock < firstBlock) {
      return `layers ${firstLayer}–${lastLayer} do not lie between two cut points`;
    }
    ranges.push({ node, firstBlock, lastBlock });
    firstBlock = lastBlock + 1;
  }
  if (firstBlock !== blocks.length) return "the partitions do not cover the whole model";
  return ranges;
}
