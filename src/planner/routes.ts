import { AppError } from "../core/index.js";
import { TIERS } from "../protocol/index.js";
import type { PlanningLink, PlanningNode, PlanningProblem } from "./problem.js";
import type { Rules } from "./rules.js";

/** Orders given by the user can combine to very many routes; more than this is refused. */
export const STOPS_MAX = 20_000;

/** A way of the data from one place to another. `link` is undefined where it stays in its place. */
export interface Arc {
  /** The stop it leads to; undefined for the way back of the result. */
  to: Stop | undefined;
  fromNode: string;
  link: PlanningLink | undefined;
  /** No more than this may go this way at once; the way back has no limit. */
  bytesMax: number;
}

/**
 * A place on a route: one node, reached in one way. Every sequence of nodes that data may take from
 * one source is exactly one walk over stops, so different walks are different plans.
 */
export interface Stop {
  index: number;
  node: PlanningNode;
  source: string;
  /** Rank of the node by tier, then name. */
  rank: number;
  next: Arc[];
  /** What there is in place of `next` at single cuts. */
  nextAt?: ReadonlyMap<number, readonly Arc[]>;
  /** Where the stop is for particular partitions only: they begin with this block. */
  began?: {
    firstBlock: number;
    /** They are this one, which was measured. */
    range?: { lastBlock: number; ms: number };
    /** They end at none of these cuts. */
    closedAt?: ReadonlySet<number>;
  };
  /** Undefined: no plan may end here. */
  end: Arc | undefined;
}

export interface Routes {
  stops: readonly Stop[];
  starts: readonly Arc[];
  /** Ways that would be allowed but have no link. */
  missingLinks: readonly { from: string; to: string }[];
}

/** All the ways that data may take: along the tiers, or along the paths that the problem names. */
export function buildRoutes(problem: PlanningProblem, rules: Rules): Routes {
  const builder = new RouteBuilder(problem, rules);
  for (const source of problem.sources) {
    if (problem.paths === undefined) addTierRoutes(builder, source, rules);
    else addPathRoutes(builder, source, problem.paths);
  }
  return builder;
}

/** At most one node of each tier, in the order device → edge → cloud. No required tier is passed over. */
function addTierRoutes(builder: RouteBuilder, source: string, rules: Rules): void {
  const mayPass = (after: number, before: number): boolean =>
    TIERS.every((tier, rank) => rank <= after || rank >= before || !rules.requiredTiers.has(tier));
  const stops = builder.usableNodes
    .filter((node) => node.tier !== "device" || node.name === source)
    .filter((node) => isWantedInTier(node, rules))
    .map((node) => builder.addStop(node, source));
  for (const stop of stops) {
    const rank = TIERS.indexOf(stop.node.tier);
    if (mayPass(-1, rank)) builder.start(source, stop);
    if (mayPass(rank, TIERS.length)) builder.end(stop);
    for (const next of stops) {
      const nextRank = TIERS.indexOf(next.node.tier);
      if (nextRank > rank && mayPass(rank, nextRank)) builder.connect(stop, next);
    }
  }
}

/** With one node of each tier, a required node leaves no room for another of its tier. */
function isWantedInTier(node: PlanningNode, rules: Rules): boolean {
  return rules.requiredNodes.every(
    ({ anyOf, tier }) => tier !== node.tier || anyOf.includes(node.name),
  );
}

/**
 * Any subsequence of a path is a route. Each is embedded as far to the front of every path as it
 * goes (a deterministic automaton), so that no route is found twice.
 */
function addPathRoutes(
  builder: RouteBuilder,
  source: string,
  paths: readonly (readonly string[])[],
): void {
  const usable = new Map(builder.usableNodes.map((node) => [node.name, node]));
  const devices = new Set(builder.devices);
  const own = paths.filter(
    ([first]) => first === undefined || first === source || !devices.has(first),
  );
  const known = new Map<string, Stop>();
  const pending: { stop: Stop; positions: readonly number[] }[] = [];

  /** The stop for going on to `name` from these positions; undefined where no path goes there. */
  const advance = (positions: readonly number[], name: string): Stop | undefined => {
    const after = own.map((path, at) => {
      const position = positions[at] ?? -1;
      const found = position === Infinity ? -1 : path.indexOf(name, position + 1);
      return found === -1 ? Infinity : found;
    });
    const node = usable.get(name);
    if (node === undefined || after.every((position) => !Number.isFinite(position)))
      return undefined;
    const key = `${name} ${after.join(",")}`;
    const seen = known.get(key);
    if (seen !== undefined) return seen;
    const stop = builder.addStop(node, source);
    known.set(key, stop);
    pending.push({ stop, positions: after });
    return stop;
  };

  const names = [...new Set(own.flat())];
  for (const name of names) {
    const stop = advance([], name);
    if (stop !== undefined) builder.start(source, stop);
  }
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    builder.end(next.stop);
    for (const name of names) {
      if (name === next.stop.node.name) continue;
      const stop = advance(next.positions, name);
      if (stop !== undefined) builder.connect(next.stop, stop);
    }
  }
}

class RouteBuilder implements Routes {
  readonly stops: Stop[] = [];
  readonly starts: Arc[] = [];
  readonly #missing = new Map<string, { from: string; to: string }>();
  /** Nodes that may run something, by tier, then name. */
  readonly usableNodes: readonly PlanningNode[];
  readonly devices: readonly string[];
  readonly #links: ReadonlyMap<string, ReadonlyMap<string, PlanningLink>>;
  readonly #returnResult: boolean;
  readonly #rules: Rules;
  readonly #ranks: ReadonlyMap<string, number>;

  constructor(problem: PlanningProblem, rules: Rules) {
    const ordered = [...problem.nodes].sort(byTierThenName);
    this.#ranks = new Map(ordered.map((node, rank) => [node.name, rank]));
    this.usableNodes = ordered.filter((node) => !rules.nodeBans.has(node.name));
    this.devices = ordered.filter((node) => node.tier === "device").map((node) => node.name);
    this.#rules = rules;
    this.#links = linkTable(problem.links);
    this.#returnResult = problem.costModel.returnResult;
  }

  get missingLinks(): readonly { from: string; to: string }[] {
    return [...this.#missing.values()];
  }

  addStop(node: PlanningNode, source: string): Stop {
    if (this.stops.length >= STOPS_MAX) {
      throw new AppError(
        "USAGE",
        `the paths combine to more than ${STOPS_MAX} routes; name fewer or shorter ones`,
      );
    }
    const rank = this.#ranks.get(node.name) ?? 0;
    const stop = { index: this.stops.length, node, source, rank, next: [], end: undefined };
    this.stops.push(stop);
    return stop;
  }

  start(source: string, to: Stop): void {
    const arc = this.#arc(source, to.node.name, to);
    if (arc !== undefined) this.starts.push(arc);
  }

  connect(from: Stop, to: Stop): void {
    const arc = this.#arc(from.node.name, to.node.name, to);
    if (arc !== undefined) from.next.push(arc);
  }

  end(stop: Stop): void {
    const home = this.#returnResult ? stop.source : stop.node.name;
    stop.end = this.#arc(stop.node.name, home, undefined);
  }

  #arc(fromNode: string, toNode: string, to: Stop | undefined): Arc | undefined {
    if (fromNode === toNode) return { to, fromNode, link: undefined, bytesMax: Infinity };
    const link = this.#links.get(fromNode)?.get(toNode);
    if (link === undefined) {
      this.#missing.set(`${fromNode} → ${toNode}`, { from: fromNode, to: toNode });
      return undefined;
    }
    const bytesMax = to === undefined ? Infinity : this.#uploadBytesMax(fromNode);
    return { to, fromNode, link, bytesMax };
  }

  #uploadBytesMax(node: string): number {
    const limits = this.#rules.limits.filter(
      (limit) => limit.kind === "uploadBytes" && limit.covers(node),
    );
    return Math.min(Infinity, ...limits.map((limit) => limit.max));
  }
}

export function byTierThenName(a: PlanningNode, b: PlanningNode): number {
  const byTier = TIERS.indexOf(a.tier) - TIERS.indexOf(b.tier);
  if (byTier !== 0) return byTier;
  return a.name < b.name ? -1 : Number(a.name > b.name);
}

/** from → to → link. */
export function linkTable(
  links: readonly PlanningLink[],
): ReadonlyMap<string, ReadonlyMap<string, PlanningLink>> {
  const table = new Map<string, Map<string, PlanningLink>>();
  for (const link of links) {
    const row = table.get(link.from) ?? new Map<string, PlanningLink>();
    row.set(link.to, link);
    table.set(link.from, row);
  }
  return table;
}
