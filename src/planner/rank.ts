import { budgetsOf } from "./budgets.js";
import { checkLinks, checkProblem } from "./check.js";
import { explainInfeasible } from "./explain.js";
import { buildField, type Field } from "./field.js";
import { type Budget, stageGauge, sumGauge } from "./gauges.js";
import type { Quest, Walk } from "./labels.js";
import {
  energyWeights,
  hasEnergyData,
  hasPriceData,
  latencyWeights,
  objectiveWeights,
  priceWeights,
} from "./objective.js";
import { paretoWalks } from "./pareto.js";
import type { Range } from "./obstacles.js";
import { createPricer, priceAssignment } from "./price.js";
import type { Assignment, PlanningLink, PlanningProblem, RankedPlan } from "./problem.js";
import { compileRules, type Rules } from "./rules.js";
import { bestWalks } from "./search.js";
import { byteWeights, partitionWeights, type Ticked } from "./weights.js";

export interface Ranking {
  /** Best first. */
  plans: RankedPlan[];
  /** Why there is no plan; null where there is one. */
  infeasible: string | null;
}

/** A problem that was checked once, of which any number of questions may be asked. */
export interface OpenProblem {
  readonly problem: PlanningProblem;
  /** As `rankPlans` does. */
  rank(topK: number): Ranking;
  /** As `pricePlan` does. */
  price(assignment: Assignment): RankedPlan | { infeasible: string };
  /** The same problem with other links; throws LINKS_INVALID. */
  withLinks(links: readonly PlanningLink[]): OpenProblem;
}

/** Throws PROFILE_INVALID or LINKS_INVALID for a malformed problem. */
export function openProblem(problem: PlanningProblem): OpenProblem {
  checkProblem(problem);
  return opened(problem, compileRules(problem));
}

function opened(problem: PlanningProblem, rules: Rules): OpenProblem {
  return {
    problem,
    rank: (topK) => ranking({ ...problem, topK }, (asked) => findPlans(asked, rules)),
    price: (assignment) => priceAssignment(problem, assignment, rules),
    withLinks(links) {
      checkLinks(links);
      return opened({ ...problem, links }, rules);
    },
  };
}

/**
 * The best `topK` plans for `problem` in order, native and distributed together: by its objective,
 * then latency, then fewer partitions, fewer bytes moved, the source's name, and at the first block
 * where they differ the lower tier and the name. Exact under every constraint.
 *
 * Throws PROFILE_INVALID or LINKS_INVALID for a malformed problem, and USAGE for an objective whose
 * data nodes or links lack.
 */
export function rankPlans(problem: PlanningProblem): Ranking {
  return openProblem(problem).rank(problem.topK);
}

/**
 * Every plan that no other beats in one of latency, throughput, energy and price (the last two where
 * all data is there) without losing in another; by latency. Of equals the first is kept. Throws as
 * `rankPlans` does.
 */
export function paretoPlans(problem: PlanningProblem): Ranking {
  checkProblem(problem);
  return ranking(problem, findFront);
}

function ranking(
  problem: PlanningProblem,
  find: (problem: PlanningProblem) => RankedPlan[],
): Ranking {
  const plans = find(problem);
  if (plans.length > 0) return { plans, infeasible: null };
  const byLatency: PlanningProblem = { ...problem, objective: "latency" };
  return { plans, infeasible: explainInfeasible(byLatency, (tried) => findPlans(tried)) };
}

function findPlans(problem: PlanningProblem, rules = compileRules(problem)): RankedPlan[] {
  const arena = openArena(problem, rules);
  if (arena === undefined) return [];
  const { field, latency, quest } = arena;
  const objective = objectiveWeights(problem, field);
  const walks = bestWalks(
    {
      ...quest,
      leading: problem.objective === "throughput" ? stageGauge(field, latency) : undefined,
      ranks: objective === undefined ? quest.ranks : [objective, ...quest.ranks],
    },
    problem.topK,
  );
  return pricedPlans(problem, walks);
}

function findFront(problem: PlanningProblem): RankedPlan[] {
  const arena = openArena(problem, compileRules(problem));
  if (arena === undefined) return [];
  const { field, latency, quest } = arena;
  const criteria = [stageGauge(field, latency)];
  if (hasEnergyData(field)) criteria.push(sumGauge(field, energyWeights(problem, field)));
  if (hasPriceData(field)) criteria.push(sumGauge(field, priceWeights(problem, field)));
  return pricedPlans(problem, paretoWalks(quest, criteria));
}

/** What every search of `problem` begins with; undefined where its constraints contradict the model. */
function openArena(
  problem: PlanningProblem,
  rules: Rules,
): { field: Field; latency: Ticked; quest: Quest } | undefined {
  if (rules.contradictions.length > 0) return undefined;
  const field = buildField(problem, rules);
  const latency = latencyWeights(problem, field);
  const budgets: Budget[] = budgetsOf(problem, { field, rules, latency });
  const ranks = [latency, partitionWeights(field), byteWeights(field)];
  return { field, latency, quest: { field, leading: undefined, ranks, budgets } };
}

function pricedPlans(problem: PlanningProblem, walks: readonly Walk[]): RankedPlan[] {
  const price = createPricer(problem);
  return walks.flatMap((walk) => {
    const plan = price(walk[0]?.source ?? "", rangesOf(walk));
    return "infeasible" in plan ? [] : [plan];
  });
}

function rangesOf(walk: Walk): Range[] {
  const ranges: Range[] = [];
  for (const [block, stop] of walk.entries()) {
    const last = ranges.at(-1);
    if (last !== undefined && walk[block - 1] === stop) last.lastBlock = block;
    else ranges.push({ node: stop.node, firstBlock: block, lastBlock: block });
  }
  return ranges;
}
