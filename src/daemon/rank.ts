import { type OpenProblem, openProblem, type RankedPlan } from "../planner/index.js";
import { type Bar, isBarred } from "./bars.js";

/** How many plans are looked through for one that is not barred. */
const DEPTHS = [1, 16, 256];

/**
 * The best plan that contains no barred partition, and why there is none. Where even the deepest look
 * finds only barred ones, the barred nodes are left out altogether.
 */
export function bestPlan(
  open: OpenProblem,
  bars: readonly Bar[],
): { best: RankedPlan | null; infeasible: string | null } {
  for (const topK of bars.length === 0 ? [1] : DEPTHS) {
    const { plans, infeasible } = open.rank(topK);
    const best = plans.find((plan) => !isBarred(bars, plan.partitions));
    if (best !== undefined) return { best, infeasible };
    if (infeasible !== null) return { best: null, infeasible };
  }
  const { constraints } = open.problem;
  const exclude = [...constraints.nodes.exclude, ...bars.map(({ node }) => node)];
  const without = openProblem({
    ...open.problem,
    constraints: { ...constraints, nodes: { ...constraints.nodes, exclude } },
  });
  const { plans, infeasible } = without.rank(1);
  return { best: plans[0] ?? null, infeasible };
}
