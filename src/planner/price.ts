import { TIERS } from "../protocol/index.js";
import { checkProblem } from "./check.js";
import type {
  Assignment,
  PlannedHop,
  PlannedPartition,
  PlanningNode,
  PlanningProblem,
  RankedPlan,
} from "./problem.js";
import { linkTable } from "./routes.js";
import { compileRules, LIMIT_TOLERANCE, type Limit, type Rules } from "./rules.js";
import { bytesAtCuts, transferMs } from "./weights.js";

/** Consecutive blocks on one node; `lastBlock` is inclusive. */
export interface Range {
  node: PlanningNode;
  firstBlock: number;
  lastBlock: number;
}

/**
 * The price of a given plan in the context of `problem`, or why it cannot run or is not allowed there.
 * Throws PROFILE_INVALID or LINKS_INVALID for a malformed problem.
 */
export function pricePlan(
  problem: PlanningProblem,
  assignment: Assignment,
): RankedPlan | { infeasible: string } {
  checkProblem(problem);
  const ranges = locate(problem, assignment);
  if (typeof ranges === "string") return { infeasible: ranges };
  const rules = compileRules(problem);
  const obstacle =
    orderObstacle(problem, assignment.source, ranges) ??
    placementObstacle(assignment.source, ranges, rules);
  if (obstacle !== undefined) return { infeasible: obstacle };
  const plan = priceRanges(problem, assignment.source, ranges);
  if ("infeasible" in plan) return plan;
  const broken = rules.limits.map((limit) => limitObstacle(plan, limit)).find(isText);
  if (broken !== undefined) return { infeasible: broken };
  const { latencyMsMax } = problem.constraints;
  if (latencyMsMax !== undefined && exceeds(plan.latencyMs, latencyMsMax)) {
    return {
      infeasible: `latency ${plan.latencyMs} ms is more than the deadline ${latencyMsMax} ms`,
    };
  }
  return plan;
}

/** Adds up a plan that is known to be allowed; a hop without link is the only obstacle. */
export function priceRanges(
  problem: PlanningProblem,
  source: string,
  ranges: readonly Range[],
): RankedPlan | { infeasible: string } {
  const links = linkTable(problem.links);
  const bytes = bytesAtCuts(problem);
  const hops: PlannedHop[] = [];
  const partitions: PlannedPartition[] = [];
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
    }
    at = to;
  }
  for (const range of ranges) partitions.push(partitionOf(problem, range));
  const computeMs = partitions.reduce((sum, partition) => sum + partition.computeMs, 0);
  return {
    source,
    latencyMs: hops.reduce((sum, hop) => sum + hop.transferMs, computeMs),
    transferBytes: hops.reduce((sum, hop) => sum + hop.bytes, 0),
    partitions,
    hops,
  };
}

function partitionOf(problem: PlanningProblem, range: Range): PlannedPartition {
  const { node, firstBlock, lastBlock } = range;
  let computeMs = 0;
  for (let block = firstBlock; block <= lastBlock; block += 1) {
    computeMs += node.blockMs[block] ?? 0;
  }
  return {
    node: node.name,
    tier: node.tier,
    firstBlock,
    lastBlock,
    firstLayer: problem.blocks[firstBlock]?.firstLayer ?? 0,
    lastLayer: problem.blocks[lastBlock]?.lastLayer ?? 0,
    computeMs,
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

function orderObstacle(
  problem: PlanningProblem,
  source: string,
  ranges: readonly Range[],
): string | undefined {
  const names = ranges.map(({ node }) => node.name);
  if (problem.paths !== undefined) {
    const isAllowed = problem.paths.some((path) => isPartOf(names, path));
    return isAllowed ? undefined : `no path allows the order ${names.join(" → ")}`;
  }
  let rank = -1;
  for (const { node } of ranges) {
    const next = TIERS.indexOf(node.tier);
    if (next <= rank) return `${names.join(" → ")} does not go from device over edge to cloud`;
    if (node.tier === "device" && node.name !== source) return `${node.name} is not the source`;
    rank = next;
  }
  return undefined;
}

function isPartOf(names: readonly string[], path: readonly string[]): boolean {
  let from = 0;
  return names.every((name) => {
    const found = path.indexOf(name, from);
    from = found + 1;
    return found !== -1;
  });
}

function placementObstacle(
  source: string,
  ranges: readonly Range[],
  rules: Rules,
): string | undefined {
  if (rules.contradictions[0] !== undefined) return rules.contradictions[0];
  for (const { node, firstBlock, lastBlock } of ranges) {
    for (let block = firstBlock; block <= lastBlock; block += 1) {
      const ban = rules.blockBan(node.name, block);
      if (ban !== undefined) return ban;
      if (block < rules.sourceBlocks && node.name !== source) {
        return `the first ${rules.sourceBlocks} blocks must stay on ${source}`;
      }
    }
  }
  for (const [tier, reason] of rules.requiredTiers) {
    if (!ranges.some(({ node }) => node.tier === tier)) return reason;
  }
  return rules.requiredNodes.find(
    ({ anyOf }) => !ranges.some(({ node }) => anyOf.includes(node.name)),
  )?.reason;
}

function limitObstacle(plan: RankedPlan, limit: Limit): string | undefined {
  const computeMs = sumOf(plan.partitions.filter(({ node }) => limit.covers(node)));
  switch (limit.kind) {
    case "uploadBytes": {
      // Hops come in order of flow: one more than there are cuts means that the last one is the way back.
      const onward = plan.hops.slice(0, onwardHops(plan));
      const bytes = onward
        .filter(({ from }) => limit.covers(from))
        .reduce((sum, hop) => sum + hop.bytes, 0);
      if (!exceeds(bytes, limit.max)) return undefined;
      return `${limit.where} would send ${bytes} bytes, more than ${limit.max}`;
    }
    case "computeMs":
      if (!exceeds(computeMs, limit.max)) return undefined;
      return `${limit.where} would compute ${computeMs} ms, more than ${limit.max}`;
    case "computePercent": {
      const allMs = sumOf(plan.partitions);
      if (!exceeds(computeMs, (limit.max / 100) * allMs)) return undefined;
      return `${limit.where} would compute ${computeMs} of ${allMs} ms, more than ${limit.max} %`;
    }
  }
}

/** How many hops bring data to a partition. */
function onwardHops({ source, partitions }: RankedPlan): number {
  return partitions.length - (partitions[0]?.node === source ? 1 : 0);
}

function sumOf(partitions: readonly PlannedPartition[]): number {
  return partitions.reduce((sum, partition) => sum + partition.computeMs, 0);
}

function exceeds(value: number, max: number): boolean {
  return value > max * (1 + LIMIT_TOLERANCE);
}

function isText(text: string | undefined): text is string {
  return text !== undefined;
}
