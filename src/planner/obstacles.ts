import { TIERS } from "../protocol/index.js";
import { memoryNeeds } from "./budgets.js";
import { bytesAtCuts } from "./field.js";
import type { PlannedPartition, PlanningNode, PlanningProblem, RankedPlan } from "./problem.js";
import { LIMIT_TOLERANCE, type Limit, type Rules } from "./rules.js";

/** Consecutive blocks on one node; `lastBlock` is inclusive. */
export interface Range {
  node: PlanningNode;
  firstBlock: number;
  lastBlock: number;
}

/** What keeps nodes from running these ranges in this order, before anything is priced. */
export function assignmentObstacle(
  problem: PlanningProblem,
  { source, ranges }: { source: string; ranges: readonly Range[] },
  rules: Rules,
): string | undefined {
  return (
    orderObstacle(problem, source, ranges) ??
    placementObstacle(source, ranges, rules) ??
    memoryObstacle(problem, ranges)
  );
}

/** The first limit that a plan breaks. */
export function limitsObstacle(
  { constraints }: PlanningProblem,
  plan: RankedPlan,
  rules: Rules,
): string | undefined {
  for (const limit of rules.limits) {
    const broken = limitObstacle(plan, limit);
    if (broken !== undefined) return broken;
  }
  const { latencyMsMax } = constraints;
  if (latencyMsMax === undefined || !exceeds(plan.latencyMs, latencyMsMax)) return undefined;
  return `latency ${plan.latencyMs} ms is more than the deadline ${latencyMsMax} ms`;
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

function memoryObstacle(problem: PlanningProblem, ranges: readonly Range[]): string | undefined {
  if (problem.nodes.every(({ memoryBytes }) => memoryBytes === undefined)) return undefined;
  const needs = memoryNeeds(problem, { bytes: bytesAtCuts(problem) });
  for (const { name, memoryBytes } of problem.nodes) {
    if (memoryBytes === undefined) continue;
    const blocks = ranges
      .filter(({ node }) => node.name === name)
      .flatMap(({ firstBlock, lastBlock }) =>
        Array.from({ length: lastBlock - firstBlock + 1 }, (_, offset) => firstBlock + offset),
      );
    const weightBytes = blocks.reduce((sum, block) => sum + (needs.weightBytes[block] ?? 0), 0);
    const tensorBytes = Math.max(0, ...blocks.map((block) => needs.tensorBytes[block] ?? 0));
    const bytes = weightBytes + tensorBytes;
    if (bytes > memoryBytes)
      return `${name} would need ${bytes} bytes of memory, not ${memoryBytes}`;
  }
  return undefined;
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
