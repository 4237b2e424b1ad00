import type { Field } from "./field.js";
import { type Budget, memoryGauge, sumGauge } from "./gauges.js";
import type { PlanningProblem } from "./problem.js";
import type { Arc, Stop } from "./routes.js";
import { LIMIT_TOLERANCE, type Limit, type Rules } from "./rules.js";
import { noRun, type Ticked, type Weights } from "./weights.js";

/**
 * Everything that couples the parts of a plan: limits on sums, memory, the deadline, and on given
 * paths, where the graph of routes cannot express it, nodes and tiers that must be used.
 */
export function budgetsOf(
  problem: PlanningProblem,
  context: { field: Field; rules: Rules; latency: Ticked },
): Budget[] {
  const { field, rules, latency } = context;
  const budgets: Budget[] = [];
  for (const limit of rules.limits) {
    // Along the tiers a tier or node sends onward once, and arcs too small for that are closed.
    if (limit.kind === "uploadBytes" && problem.paths === undefined) continue;
    budgets.push(limitBudget(limit, field, latency));
  }
  const { latencyMsMax } = problem.constraints;
  if (latencyMsMax !== undefined) {
    const max = latency.toTicks(latencyMsMax * (1 + LIMIT_TOLERANCE));
    budgets.push({ gauge: sumGauge(field, latency), max });
  }
  budgets.push(...memoryBudgets(problem, field));
  if (problem.paths !== undefined) budgets.push(...requirementBudgets(field, rules));
  return budgets;
}

function limitBudget(limit: Limit, field: Field, latency: Ticked): Budget {
  const covered = field.routes.stops.map((stop) => limit.covers(stop.node.name));
  const slack = 1 + LIMIT_TOLERANCE;
  switch (limit.kind) {
    case "uploadBytes": {
      const isUpload = ({ link, to, fromNode }: Arc): boolean =>
        link !== undefined && to !== undefined && limit.covers(fromNode);
      const pass: Weights["pass"] = (arc, cut) => (isUpload(arc) ? (field.bytes[cut] ?? 0) : 0);
      return { gauge: sumGauge(field, { run: noRun(field), pass }), max: limit.max * slack };
    }
    case "computeMs": {
      const run = latency.run.map((row, stop) => row.map((ticks) => (covered[stop] ? ticks : 0)));
      return {
        gauge: sumGauge(field, { run, pass: free }),
        max: latency.toTicks(limit.max * slack),
      };
    }
    case "computePercent": {
      // Σ covered ≤ share × Σ all, as one sum: (1 − share) of what is covered, −share of the rest.
      const share = (limit.max / 100) * slack;
      const run = latency.run.map((row, stop) =>
        row.map((ticks) => ticks * (covered[stop] ? 1 - share : -share)),
      );
      return { gauge: sumGauge(field, { run, pass: free }), max: 0 };
    }
  }
}

/** What blocks need of a node's memory. */
export function memoryNeeds(
  problem: PlanningProblem,
  field: Pick<Field, "bytes">,
): { weightBytes: number[]; tensorBytes: number[] } {
  return {
    weightBytes: problem.blocks.map((block) => block.weightBytes ?? 0),
    tensorBytes: problem.blocks.map(
      (_, block) => (field.bytes[block] ?? 0) + (field.bytes[block + 1] ?? 0),
    ),
  };
}

function memoryBudgets(problem: PlanningProblem, field: Field): Budget[] {
  const needs = memoryNeeds(problem, field);
  const mostBytes =
    needs.weightBytes.reduce((sum, bytes) => sum + bytes, 0) + Math.max(...needs.tensorBytes);
  return problem.nodes.flatMap(({ name, memoryBytes }) =>
    memoryBytes === undefined || memoryBytes >= mostBytes
      ? []
      : [{ gauge: memoryGauge(name, needs), max: memoryBytes }],
  );
}

/** "Used" as a sum: every block that runs on one of the wanted nodes counts −1, and −1 is the most. */
function requirementBudgets(field: Field, rules: Rules): Budget[] {
  const wanted: ((stop: Stop) => boolean)[] = [
    ...[...rules.requiredTiers.keys()].map((tier) => (stop: Stop) => stop.node.tier === tier),
    ...rules.requiredNodes.map(
      ({ anyOf }) =>
        (stop: Stop) =>
          anyOf.includes(stop.node.name),
    ),
  ];
  return wanted.map((isWanted) => {
    const run = field.routes.stops.map((stop) =>
      new Float64Array(field.blockCount).fill(isWanted(stop) ? -1 : 0),
    );
    return { gauge: sumGauge(field, { run, pass: free }), max: -1 };
  });
}

function free(): number {
  return 0;
}
