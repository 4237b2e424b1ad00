import { TIERS, type Tier } from "../protocol/index.js";
import type { NodeConstraints, TierConstraints } from "./options.js";
import type { PlanningNode, PlanningProblem } from "./problem.js";

/** Limits hold to within a billionth, so that sums at the limit pass whatever their rounding. */
export const LIMIT_TOLERANCE = 1e-9;

/** Something a plan may have only so much of. */
export interface Limit {
  kind: "uploadBytes" | "computeMs" | "computePercent";
  /** "the edge tier", "node edge-1". */
  where: string;
  covers: (node: string) => boolean;
  max: number;
}

/** At least one of these nodes, all of one tier, must be used. */
export interface RequiredNodes {
  anyOf: readonly string[];
  tier: Tier;
  reason: string;
}

/** The constraints of a problem, resolved to its nodes and blocks. */
export interface Rules {
  /** Why a node may run nothing; absent where it may. */
  nodeBans: ReadonlyMap<string, string>;
  /** Why a node may not run a block; absent where it may. */
  blockBan: (node: string, block: number) => string | undefined;
  /** The first blocks, which only the source itself may run. */
  sourceBlocks: number;
  /** Tiers that must be used, with the reason. */
  requiredTiers: ReadonlyMap<Tier, string>;
  /** Of each group at least one node must be used. */
  requiredNodes: readonly RequiredNodes[];
  limits: readonly Limit[];
  /** What no plan can meet, whatever else holds. */
  contradictions: readonly string[];
}

/** Resolves the constraints of `problem`. Nodes that are not there are contradictions only if required. */
export function compileRules(problem: PlanningProblem): Rules {
  const { constraints, nodes } = problem;
  const bans = new BlockBans(problem);
  const nodeBans = new Map<string, string>();
  const requiredTiers = new Map<Tier, string>();
  const requiredNodes: RequiredNodes[] = [];
  const limits: Limit[] = [];

  for (const name of constraints.nodes.exclude) nodeBans.set(name, `${name} is excluded`);
  const tiers = tierLookup(problem);
  for (const name of constraints.nodes.require) {
    requiredNodes.push({ anyOf: [name], tier: tiers(name), reason: `${name} must be used` });
  }
  for (const tier of TIERS) {
    const where = `the ${tier} tier`;
    const own = constraints[tier];
    const covers = (node: string): boolean => tiers(node) === tier;
    banNodes(nodes, { tier, own }, nodeBans);
    if (own.use === "must") requiredTiers.set(tier, `${where} must be used`);
    if (own.nodes.length > 0) {
      const reason = `${own.nodes.join(" or ")} must be used`;
      requiredNodes.push({ anyOf: own.nodes, tier, reason });
    }
    bans.addPlacement(own, { where, covers });
    limits.push(...limitsOf(own, { where, covers }));
  }
  for (const { tier, reason } of requiredNodes) requiredTiers.set(tier, reason);
  for (const own of constraints.limits) {
    const scope = { where: `node ${own.node}`, covers: (node: string) => node === own.node };
    bans.addPlacement(own, scope);
    limits.push(...limitsOf(own, scope));
  }
  return {
    nodeBans,
    blockBan: (node, block) => nodeBans.get(node) ?? bans.get(node, block),
    sourceBlocks: sourceBlocksOf(problem),
    requiredTiers,
    requiredNodes,
    limits,
    contradictions: bans.unmet,
  };
}

/** The tier of a node; a source that no profile knows is a device. */
export function tierLookup(problem: PlanningProblem): (node: string) => Tier {
  const tiers = new Map(problem.nodes.map((node) => [node.name, node.tier]));
  return (node) => tiers.get(node) ?? "device";
}

function sourceBlocksOf({ constraints, blocks }: PlanningProblem): number {
  let atLeast = 0;
  if (constraints.rawInputStaysOn === "device") {
    // Up to the first cut that no raw input crosses.
    const last = blocks.findIndex((block) => block.carriesInput !== true);
    atLeast = last === -1 ? blocks.length : last + 1;
  }
  return Math.min(blocks.length, Math.max(atLeast, constraints.minBlocksOnDevice));
}

function banNodes(
  nodes: readonly PlanningNode[],
  { tier, own }: { tier: Tier; own: TierConstraints },
  nodeBans: Map<string, string>,
): void {
  if (own.use !== "never") return;
  for (const node of nodes) {
    if (node.tier === tier) nodeBans.set(node.name, `the ${tier} tier must not be used`);
  }
}

interface Scope {
  where: string;
  covers: (node: string) => boolean;
}

type Placement = Omit<NodeConstraints, "node">;

function limitsOf(own: Placement, scope: Scope): Limit[] {
  const limits: Limit[] = [];
  const add = (kind: Limit["kind"], max: number | undefined): void => {
    if (max !== undefined) limits.push({ kind, max, ...scope });
  };
  add("uploadBytes", own.uploadBytesMax);
  add("computeMs", own.computeMsMax);
  add("computePercent", own.computePercentMax);
  return limits;
}

/** Which node may not run which block, and why. */
class BlockBans {
  readonly unmet: string[] = [];
  readonly #problem: PlanningProblem;
  readonly #bans = new Map<string, Map<number, string>>();

  constructor(problem: PlanningProblem) {
    this.#problem = problem;
  }

  get(node: string, block: number): string | undefined {
    return this.#bans.get(node)?.get(block);
  }

  addPlacement(own: Placement, scope: Scope): void {
    for (const layer of own.mustRunLayers) {
      const block = this.#blockOf(layer);
      const reason = `layer ${layer} must run on ${scope.where}`;
      if (block === undefined) this.unmet.push(`${reason}, but ${this.#extent()}`);
      else this.#ban(block, { reason, nodes: (node) => !scope.covers(node) });
    }
    for (const layer of own.mustNotRunLayers) {
      const block = this.#blockOf(layer);
      const reason = `layer ${layer} must not run on ${scope.where}`;
      if (block !== undefined) this.#ban(block, { reason, nodes: scope.covers });
    }
  }

  #ban(block: number, ban: { reason: string; nodes: (node: string) => boolean }): void {
    for (const { name } of this.#problem.nodes) {
      if (!ban.nodes(name)) continue;
      const known = this.#bans.get(name) ?? new Map<number, string>();
      if (!known.has(block)) known.set(block, ban.reason);
      this.#bans.set(name, known);
    }
  }

  #blockOf(layer: number): number | undefined {
    const { blocks } = this.#problem;
    const index = blocks.findIndex(
      (block) => block.firstLayer <= layer && layer <= block.lastLayer,
    );
    return index === -1 ? undefined : index;
  }

  #extent(): string {
    return `the model's last layer is ${this.#problem.blocks.at(-1)?.lastLayer ?? "missing"}`;
  }
}
