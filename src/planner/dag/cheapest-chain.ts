import { type ChainCut, cutChain } from "./chain-cut.js";
import { type ChainPricing, leastRun } from "./chain-pricing.js";
import type { Chain } from "./chains.js";
import { cutHop, type HopCut } from "./hop-cut.js";
import type { LayerGraph } from "./layer-graph.js";
import { outlineOf } from "./outline.js";

interface Candidate {
  chain: Chain;
  /** Its place among all chains; of chains that cost the same, the first is taken. */
  rank: number;
}

/** The chain and the stages of all layers that cost the least; undefined where there are none. */
export function cheapestChain(
  graph: LayerGraph,
  chains: readonly Chain[],
  pricing: ChainPricing,
): { chain: Chain; stages: Uint8Array } | undefined {
  const hops = new HopCuts(graph, pricing);
  const open: (Candidate & { least: number })[] = [];
  let best: (Candidate & ChainCut) | undefined;
  for (const [rank, chain] of chains.entries()) {
    const fixed = pricing.fixedTicks(chain);
    if (fixed + leastRun(pricing.runOf(chain)) >= (best?.cost ?? Infinity)) continue;
    const { least, stages } = hops.relax(chain);
    const cost = fixed + least;
    if (cost >= (best?.cost ?? Infinity)) continue;
    if (stages !== undefined) best = { chain, rank, stages, cost };
    else open.push({ chain, rank, least: Math.max(cost, fixed + hops.leastOfOneHop(chain)) });
  }
  for (const { chain, rank, least } of open.sort((a, b) => a.least - b.least)) {
    // One tick more than what an earlier chain must stay below, as it wins at the same cost.
    const bound = best === undefined ? Infinity : best.cost + (rank < best.rank ? 1 : 0);
    if (least >= bound) continue;
    const fixed = pricing.fixedTicks(chain);
    const costs = { run: pricing.runOf(chain), move: pricing.moveOf(chain) };
    const cut = cutChain(graph, costs, bound - fixed);
    if (cut !== undefined) best = { chain, rank, stages: cut.stages, cost: fixed + cut.cost };
  }
  return best;
}

/**
 * The best splits at single hops, each solved once for all chains that have it. Together they cost a
 * chain no more than any assignment, and just as much as the best one if they fit each other: then no
 * network of all hops is needed.
 */
class HopCuts {
  readonly #graph: LayerGraph;
  readonly #pricing: ChainPricing;
  readonly #outline;
  /** By the hop's two stops: `from` → `to`. */
  readonly #known = new Map<number, Map<number, HopCut | undefined>>();

  constructor(graph: LayerGraph, pricing: ChainPricing) {
    this.#graph = graph;
    this.#pricing = pricing;
    this.#outline = outlineOf(graph);
  }

  /**
   * What the chain costs at least, without the fixed part; with the stages of all layers where that is
   * what it costs. Infinity where there is no assignment.
   */
  relax(chain: Chain): { least: number; stages?: Uint8Array } {
    const run = this.#pricing.runOf(chain);
    const layerCount = this.#graph.layers.length;
    if (hasGap(run)) return { least: leastRun(run) };
    if (chain.hops.length === 0)
      return { least: leastRun(run), stages: new Uint8Array(layerCount) };
    // Where a layer runs is counted on both sides of an inner stage.
    let least = 0;
    for (const row of run.slice(1, -1)) least -= sumOfFinite(row);
    const stages = new Uint8Array(layerCount);
    const moves = this.#pricing.moveOf(chain);
    let isFitting = true;
    for (const [hop, move] of moves.entries()) {
      const cut = this.#cut(chain, hop, move);
      if (cut === undefined) return { least: Infinity };
      least += cut.cost;
      for (const [layer, isBehind] of cut.behind.entries()) {
        // Whatever runs behind this hop must run behind all earlier ones.
        if (isBehind === 1 && stages[layer] !== hop) isFitting = false;
        stages[layer] = (stages[layer] ?? 0) + isBehind;
      }
    }
    isFitting &&= run.every((_, stage) => stages.includes(stage));
    return isFitting ? { least, stages } : { least };
  }

  /**
   * Another bound, for hops that do not fit each other: all behind one hop runs where it is fastest
   * there, all in front of it likewise, and nothing moves but over that hop.
   */
  leastOfOneHop(chain: Chain): number {
    const run = this.#pricing.runOf(chain);
    if (run.length < 3) return 0;
    const least = this.#pricing.moveOf(chain).map((move, hop) => {
      const front = fastest(run.slice(0, hop + 1));
      const behind = fastest(run.slice(hop + 1));
      return cutHop(this.#graph, this.#outline, { front, behind, move })?.cost ?? Infinity;
    });
    return Math.max(...least);
  }

  #cut(chain: Chain, hop: number, move: Float64Array): HopCut | undefined {
    const from = chain.stops[hop]?.index ?? 0;
    const to = chain.stops[hop + 1]?.index ?? 0;
    const known = this.#known.get(from) ?? new Map<number, HopCut | undefined>();
    this.#known.set(from, known);
    if (!known.has(to)) {
      const costs = { ...bothSides(chain, hop, this.#pricing.runOf(chain)), move };
      known.set(to, cutHop(this.#graph, this.#outline, costs));
    }
    return known.get(to);
  }
}

/** Running every layer in front of a hop, or behind it. */
function bothSides(
  chain: Chain,
  hop: number,
  run: readonly Float64Array[],
): { front: Float64Array; behind: Float64Array } {
  const front = Float64Array.from(run[hop] ?? []);
  const behind = Float64Array.from(run[hop + 1] ?? []);
  // What neither may run is left to a third stage: in front of both where the second one is the cloud.
  const third = chain.stops[hop + 1]?.node.tier === "cloud" ? front : behind;
  for (let layer = 0; layer < third.length; layer += 1) {
    if (front[layer] === Infinity && behind[layer] === Infinity) third[layer] = 0;
  }
  return { front, behind };
}

/** Every layer where it is fastest. */
function fastest(run: readonly Float64Array[]): Float64Array {
  const [first = new Float64Array(), ...others] = run;
  return first.map((ticks, layer) =>
    others.reduce((least, row) => Math.min(least, row[layer] ?? Infinity), ticks),
  );
}

/** Whether a layer may run in front of a stage and behind it, but not there: hops are not free then. */
function hasGap(run: readonly Float64Array[]): boolean {
  const [first, inner, last] = run;
  if (first === undefined || inner === undefined || last === undefined) return false;
  return inner.some(
    (ticks, layer) => ticks === Infinity && first[layer] !== Infinity && last[layer] !== Infinity,
  );
}

function sumOfFinite(row: Float64Array): number {
  return row.reduce((sum, ticks) => sum + (ticks === Infinity ? 0 : ticks), 0);
}
