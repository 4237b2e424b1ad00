import { checkProblem } from "./check.js";
import { explainInfeasible } from "./explain.js";
import { priceRanges, type Range } from "./price.js";
import type { PlanningProblem, RankedPlan } from "./problem.js";
import { buildRoutes } from "./routes.js";
import { compileRules } from "./rules.js";
import { bestWalks, type Walk } from "./search.js";
import type { Field } from "./to-go.js";
import { budgetsOf, bytesAtCuts, latencyWeights, tickGrid } from "./weights.js";

export interface Ranking {
  /** Best first; at most `topK`. */
  plans: RankedPlan[];
  /** Why there is no plan; null where there is one. */
  infeasible: string | null;
}

/**
 * The best plans for `problem` in order, native and distributed together: by latency, then fewer
 * partitions, fewer bytes moved, and so on (`bestWalks`). Exact under every constraint.
 * Throws PROFILE_INVALID or LINKS_INVALID for a malformed problem.
 */
export function rankPlans(problem: PlanningProblem): Ranking {
  checkProblem(problem);
  const plans = findPlans(problem);
  return { plans, infeasible: plans.length > 0 ? null : explainInfeasible(problem, findPlans) };
}

function findPlans(problem: PlanningProblem): RankedPlan[] {
  const rules = compileRules(problem);
  if (rules.contradictions.length > 0) return [];
  const routes = buildRoutes(problem, rules);
  const field: Field = {
    blockCount: problem.blocks.length,
    routes,
    bytes: bytesAtCuts(problem),
    mayRun: routes.stops.map(({ node, source }) =>
      Uint8Array.from(problem.blocks, (_, block) => {
        const isHeld = block < rules.sourceBlocks && node.name !== source;
        return isHeld || rules.blockBan(node.name, block) !== undefined ? 0 : 1;
      }),
    ),
  };
  const toTicks = tickGrid(problem);
  const latency = latencyWeights(problem, routes, toTicks);
  const budgets = budgetsOf(problem, { routes, rules, latency, toTicks });
  return bestWalks({ field, weights: latency, budgets }, problem.topK).flatMap((walk) =>
    planOf(problem, walk),
  );
}

function planOf(problem: PlanningProblem, walk: Walk): RankedPlan[] {
  const ranges: Range[] = [];
  for (const [block, stop] of walk.entries()) {
    const last = ranges.at(-1);
    if (last !== undefined && walk[block - 1] === stop) last.lastBlock = block;
    else ranges.push({ node: stop.node, firstBlock: block, lastBlock: block });
  }
  const plan = priceRanges(problem, walk[0]?.source ?? "", ranges);
  return "infeasible" in plan ? [] : [plan];
}
