import { TIERS } from "../protocol/index.js";
import { type Constraints, constraintsSchema, type TierConstraints } from "./options.js";
import { pricePlan } from "./price.js";
import type { PlanningLink, PlanningProblem, RankedPlan } from "./problem.js";
import { buildRoutes } from "./routes.js";
import { compileRules, type Rules } from "./rules.js";

const REASONS_SHOWN_MAX = 6;

type FindPlans = (problem: PlanningProblem) => RankedPlan[];

/**
 * Why `problem` has no plan, in one sentence. What is impossible by itself is said outright; else one
 * thing after the other is taken away, and the first whose absence makes a plan possible is the reason.
 */
export function explainInfeasible(problem: PlanningProblem, findPlans: FindPlans): string {
  const rules = compileRules(problem);
  return (
    rules.contradictions[0] ??
    missingNodes(problem, rules) ??
    homelessBlock(problem, rules) ??
    missingLinks(problem, rules, findPlans) ??
    decisiveMemory(problem, findPlans) ??
    decisiveConstraint(problem, findPlans) ??
    decisiveTogether(problem, rules)
  );
}

function missingNodes(problem: PlanningProblem, rules: Rules): string | undefined {
  if (problem.nodes.length === 0) return "no node has a profile of the model";
  if (problem.sources.length === 0) return "there is no device at which the input could arise";
  const usable = problem.nodes.filter((node) => !rules.nodeBans.has(node.name));
  if (usable.length === 0) {
    return `no node may run anything: ${listed([...new Set(rules.nodeBans.values())])}`;
  }
  for (const { anyOf, reason } of rules.requiredNodes) {
    if (usable.some((node) => anyOf.includes(node.name))) continue;
    const bans = anyOf.flatMap((name) => rules.nodeBans.get(name) ?? []);
    return `${reason}, but ${bans[0] ?? "is not available"}`;
  }
  for (const [tier, reason] of rules.requiredTiers) {
    if (usable.some((node) => node.tier === tier)) continue;
    const ban = problem.nodes
      .filter((node) => node.tier === tier)
      .map((node) => rules.nodeBans.get(node.name))[0];
    return `${reason}, but ${ban ?? `there is no ${tier} node`}`;
  }
  return undefined;
}

function homelessBlock(problem: PlanningProblem, rules: Rules): string | undefined {
  const reach = problem.nodes.filter(
    (node) =>
      node.tier !== "device" || problem.paths !== undefined || problem.sources.includes(node.name),
  );
  for (const [block, { firstLayer, lastLayer }] of problem.blocks.entries()) {
    const bans = reach.map((node) => {
      const isHeld = block < rules.sourceBlocks && !problem.sources.includes(node.name);
      const ban = isHeld ? "the first blocks must stay on the device" : undefined;
      return rules.blockBan(node.name, block) ?? ban;
    });
    if (bans.some((ban) => ban === undefined)) continue;
    const reasons = bans.filter((ban) => ban !== undefined);
    return `layers ${firstLayer}–${lastLayer} may run nowhere: ${listed([...new Set(reasons)])}`;
  }
  return undefined;
}

function missingLinks(
  problem: PlanningProblem,
  rules: Rules,
  findPlans: FindPlans,
): string | undefined {
  const missing = buildRoutes(problem, rules).missingLinks;
  if (missing.length === 0) return undefined;
  const known = new Set(problem.links.map((link) => `${link.from} → ${link.to}`));
  const ideal: PlanningLink[] = missing.map(({ from, to }) => ({
    from,
    to,
    rttMs: 0,
    bandwidthMbps: Number.MAX_VALUE,
  }));
  const [plan] = findPlans({ ...problem, links: [...problem.links, ...ideal], topK: 1 });
  if (plan === undefined) return undefined;
  const needed = plan.hops
    .map((hop) => `${hop.from} → ${hop.to}`)
    .filter((name) => !known.has(name));
  return `no link ${needed.join(", no link ")}`;
}

/** A constraint that can be taken away by itself. */
interface Relaxation {
  name: string;
  constraints: Constraints;
}

function relaxations(constraints: Constraints): Relaxation[] {
  const none = constraintsSchema.parse({});
  const found: Relaxation[] = [];
  const add = (name: string, changed: Partial<Constraints>): void => {
    found.push({ name, constraints: { ...constraints, ...changed } });
  };
  if (constraints.latencyMsMax !== undefined) {
    const { latencyMsMax: deadlineMs, ...others } = constraints;
    found.push({ name: `latencyMsMax ${deadlineMs}`, constraints: others });
  }
  for (const tier of TIERS) {
    for (const [field, value] of Object.entries(constraints[tier])) {
      const standard = none[tier][field as keyof TierConstraints];
      if (JSON.stringify(value) === JSON.stringify(standard)) continue;
      const unset = { [field]: standard };
      add(`${tier}.${field} ${String(value)}`, { [tier]: { ...constraints[tier], ...unset } });
    }
  }
  for (const [index, limit] of constraints.limits.entries()) {
    add(`the limits of ${limit.node}`, {
      limits: constraints.limits.filter((_, other) => other !== index),
    });
  }
  for (const field of ["exclude", "require"] as const) {
    if (constraints.nodes[field].length === 0) continue;
    add(`nodes.${field} ${constraints.nodes[field].join(", ")}`, {
      nodes: { ...constraints.nodes, [field]: [] },
    });
  }
  if (constraints.minBlocksOnDevice > 0) {
    add(`minBlocksOnDevice ${constraints.minBlocksOnDevice}`, { minBlocksOnDevice: 0 });
  }
  if (constraints.rawInputStaysOn !== undefined) {
    const { rawInputStaysOn: place, ...others } = constraints;
    found.push({ name: `rawInputStaysOn ${place}`, constraints: others });
  }
  return found;
}

function decisiveMemory(problem: PlanningProblem, findPlans: FindPlans): string | undefined {
  const nodes = problem.nodes.map((node) => ({ ...node, memoryBytes: Infinity }));
  const [plan] = findPlans({ ...problem, nodes, topK: 1 });
  if (plan === undefined) return undefined;
  const priced = pricePlan(problem, plan);
  return "infeasible" in priced
    ? `the nodes have too little memory: ${priced.infeasible}`
    : undefined;
}

function decisiveConstraint(problem: PlanningProblem, findPlans: FindPlans): string | undefined {
  for (const { name, constraints } of relaxations(problem.constraints)) {
    const [plan] = findPlans({ ...problem, constraints, topK: 1 });
    if (plan === undefined) continue;
    const priced = pricePlan(problem, plan);
    const detail = "infeasible" in priced ? `: without it, ${priced.infeasible}` : "";
    return `no plan meets ${name}${detail}`;
  }
  return undefined;
}

function decisiveTogether(problem: PlanningProblem, rules: Rules): string {
  const names = relaxations(problem.constraints).map(({ name }) => name);
  const missing = buildRoutes(problem, rules).missingLinks.map(({ from, to }) => `${from} → ${to}`);
  const parts = [
    ...(names.length === 0 ? [] : [`the constraints ${listed(names)}`]),
    ...(missing.length === 0 ? [] : [`no link ${listed(missing)}`]),
  ];
  return `no plan meets everything together: ${parts.join("; ")}`;
}

function listed(reasons: readonly string[]): string {
  const shown = reasons.slice(0, REASONS_SHOWN_MAX).join(", ");
  const hidden = reasons.length - REASONS_SHOWN_MAX;
  return hidden > 0 ? `${shown} and ${hidden} more` : shown;
}
