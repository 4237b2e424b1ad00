import { type PlanningProblem, type RankedPlan, rankPlans } from "../planner/index.js";
import { type Bar, isBarred } from "./bars.js";

/** How many plans are looked through for one that is not barred. */
const DEPTHS = [1, 16, 256];

/**
 * The best plan that contains no barred partition, and why there is none. Where even the deepest look
 * finds only barred ones, the barred nodes are left out altogether.
 */
export function bestPlan(
  problem: PlanningProblem,
  bars: readonly Bar[],
): { best: RankedPlan | null; infeasible: string | null } {
  for (const topK of bars.length === 0 ? [1] : DEPTHS) {
    const { plans, infeasible } = rankPlans({ ...problem, topK });
    const best = plans.find((plan) => !isBarred(bars, plan.partitions));
    if (best !== undefined) return { best, infeasible };
    if (infeasible !== null) return { best: null, infeasible };
  }
  const { constraints } = problem;
  const exclude = [...constraints.nodes.exclude, ...bars.map(({ node }) => node)];
  const { plans, infeasible } = rankPlans({
    ...problem,
    topK: 1,
    constraints: { ...constraints, nodes: { ...constraints.nodes, exclude } },
  });
  return { best: plans[0] ?? null, infeasible };
}
