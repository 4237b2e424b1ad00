import { AppError } from "../../core/index.js";
import { type Tier, TIERS } from "../../protocol/index.js";
import { buildField, type Field } from "../field.js";
import type { PlannedHop, PlanningLink, PlanningProblem } from "../problem.js";
import type { Arc, Stop } from "../routes.js";
import { compileRules } from "../rules.js";
import { transferMs } from "../weights.js";
import { cutChain } from "./chain-cut.js";
import type { LayerGraph } from "./layer-graph.js";

/** A problem whose blocks are the vertices of `graph`. */
export type DagProblem = { graph: LayerGraph } & Pick<
  PlanningProblem,
  "nodes" | "links" | "sources" | "costModel" | "constraints" | "paths" | "objective"
>;

export interface DagPartition {
  node: string;
  tier: Tier;
  firstLayer: number;
  /** Inclusive. */
  lastLayer: number;
  /** All ranges of layers, inclusive, in order. */
  layers: [number, number][];
  computeMs: number;
}

export interface DagPlan {
  source: string;
  latencyMs: number;
  transferBytes: number;
  partitions: DagPartition[];
  hops: PlannedHop[];
}

/**
 * The plan with the least latency of all that run every layer on one node of device < edge < cloud,
 * no layer in front of what it reads; the layers of a partition need not be consecutive. Null where
 * there is none.
 *
 * Stages run one after another. A tensor is sent once to each further tier that needs it; where the
 * edge is used it relays what the cloud needs, else the direct link counts; the fixed part of a hop
 * is paid once. One minimum cut for each set of nodes, as far as its lower bound leaves hope.
 *
 * Throws USAGE for constraints that a cut cannot keep: limits on sums, memory, deadlines, paths.
 */
export function partitionDag(problem: DagProblem): DagPlan | null {
  const { graph } = problem;
  const planning = asPlanningProblem(problem);
  refuseCoupled(planning);
  const rules = compileRules(planning);
  if (rules.contradictions.length > 0) return null;
  const field = buildField(planning, rules);
  if (problem.constraints.rawInputStaysOn === "device") keepInput(field, graph);
  const pricing = new ChainPricing(problem, field);
  let best: { chain: Chain; stages: Uint8Array; cost: number } | undefined;
  for (const chain of chainsOf(field)) {
    const fixed = pricing.fixedTicks(chain);
    const bound = (best?.cost ?? Infinity) - fixed;
    const run = pricing.runOf(chain);
    if (leastRun(run) >= bound) continue;
    const cut = cutChain(graph, { run, move: pricing.moveOf(chain) }, bound);
    if (cut !== undefined) best = { chain, stages: cut.stages, cost: fixed + cut.cost };
  }
  return best === undefined ? null : describe(problem, best.chain, best.stages);
}

function asPlanningProblem(problem: DagProblem): PlanningProblem {
  const { graph, ...others } = problem;
  return {
    ...others,
    blocks: graph.layers.map((layer) => ({ ...layer, outputBytes: 0 })),
    inputBytes: 0,
    topK: 1,
  };
}

/** Leaves whatever reads an input of the model to the source. */
function keepInput({ routes, mayRun }: Field, { tensors }: LayerGraph): void {
  const readers = tensors
    .filter(({ producer }) => producer === null)
    .flatMap((one) => one.consumers);
  for (const { index, node, source } of routes.stops) {
    if (node.name !== source)
      for (const reader of readers) mayRun[index]?.fill(0, reader, reader + 1);
  }
}

function refuseCoupled(problem: PlanningProblem): void {
  const { objective = "latency", paths } = problem;
  if (objective !== "latency" || paths !== undefined) {
    throw new AppError(
      "USAGE",
      "partitioning by layers knows latency along the tiers only; plan by blocks for other objectives and paths",
    );
  }
  const { constraints, nodes } = problem;
  const coupled = [...TIERS.flatMap((tier) => [constraints[tier]]), ...constraints.limits].some(
    (own) =>
      own.uploadBytesMax !== undefined ||
      own.computeMsMax !== undefined ||
      own.computePercentMax !== undefined,
  );
  if (!coupled && constraints.latencyMsMax === undefined && nodes.every(hasAllMemory)) return;
  throw new AppError(
    "USAGE",
    "partitioning by layers cannot keep limits on uploads, time, memory or latency; plan by blocks instead",
  );
}

function hasAllMemory(node: PlanningProblem["nodes"][number]): boolean {
  return node.memoryBytes === undefined || node.memoryBytes === Infinity;
}

/** Stops in order of flow, with the ways between them. */
interface Chain {
  stops: readonly Stop[];
  start: Arc;
  hops: readonly Arc[];
  end: Arc;
}

/** Every set of nodes that can be used together; fewer nodes first, then lower tiers, then names. */
function chainsOf({ routes }: Field): Chain[] {
  const chains: Chain[] = [];
  const grow = (stops: readonly Stop[], start: Arc, hops: readonly Arc[]): void => {
    const last = stops.at(-1);
    if (last === undefined) return;
    if (last.end !== undefined) chains.push({ stops, start, hops, end: last.end });
    for (const arc of last.next) {
      if (arc.to !== undefined) grow([...stops, arc.to], start, [...hops, arc]);
    }
  };
  for (const start of routes.starts) {
    if (start.to !== undefined) grow([start.to], start, []);
  }
  return chains.sort((a, b) => a.stops.length - b.stops.length || compareStops(a.stops, b.stops));
}

function compareStops(a: readonly Stop[], b: readonly Stop[]): number {
  for (const [index, stop] of a.entries()) {
    const difference = stop.rank - (b[index]?.rank ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Ticks of everything together; whole numbers up to here add up exactly, with room to spare. */
const TOTAL_TICKS_MAX = 1e15;

/** Costs of chains in ticks of a power of ten, common to all chains so that they compare. */
class ChainPricing {
  readonly #problem: DagProblem;
  readonly #run: readonly Float64Array[];
  readonly #ticksPerMs: number;
  readonly #inputBytes: number;
  readonly #outputBytes: number;

  constructor(problem: DagProblem, field: Field) {
    this.#problem = problem;
    this.#inputBytes = bytesOf(problem.graph.tensors.filter(({ producer }) => producer === null));
    this.#outputBytes = bytesOf(problem.graph.tensors.filter(({ isOutput }) => isOutput));
    const { costModel } = problem;
    const allBytes = bytesOf(problem.graph.tensors);
    const runMs = problem.nodes.flatMap(({ blockMs }) => blockMs);
    const moveMs = problem.links.map((link) => transferMs(link, 2 * allBytes, costModel));
    const totalMs = [...runMs, ...moveMs].reduce((sum, ms) => sum + ms, 0);
    const ticksPerMs = totalMs > 0 ? TOTAL_TICKS_MAX / 10 ** Math.ceil(Math.log10(totalMs)) : 1;
    this.#ticksPerMs = ticksPerMs;
    this.#run = field.routes.stops.map(({ node, index }) =>
      Float64Array.from(node.blockMs, (ms, layer) =>
        field.mayRun[index]?.[layer] === 1 ? Math.round(ms * ticksPerMs) : Infinity,
      ),
    );
  }

  /** What a chain costs whatever runs where: fixed parts of hops, the way in and the way back. */
  fixedTicks({ start, hops, end }: Chain): number {
    return (
      this.#ticks(start.link, this.#inputBytes) +
      this.#ticks(end.link, this.#outputBytes) +
      hops.reduce((sum, { link }) => sum + this.#ticks(link, 0), 0)
    );
  }

  /** [stage][layer]. */
  runOf({ stops }: Chain): Float64Array[] {
    return stops.map((stop) => this.#run[stop.index] ?? new Float64Array());
  }

  /** [hop][tensor], without the fixed part. */
  moveOf({ hops }: Chain): Float64Array[] {
    return hops.map(({ link }) =>
      Float64Array.from(
        this.#problem.graph.tensors,
        ({ bytes }) => this.#ticks(link, bytes) - this.#ticks(link, 0),
      ),
    );
  }

  #ticks(link: PlanningLink | undefined, bytes: number): number {
    if (link === undefined) return 0;
    return Math.round(transferMs(link, bytes, this.#problem.costModel) * this.#ticksPerMs);
  }
}

function bytesOf(tensors: readonly { bytes: number }[]): number {
  return tensors.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The least that running can cost: every layer where it is fastest. */
function leastRun(run: readonly Float64Array[]): number {
  let sum = 0;
  for (let layer = 0; layer < (run[0]?.length ?? 0); layer += 1) {
    let least = Infinity;
    for (const row of run) least = Math.min(least, row[layer] ?? Infinity);
    sum += least;
  }
  return sum;
}

function describe(problem: DagProblem, chain: Chain, stages: Uint8Array): DagPlan {
  const { graph, costModel } = problem;
  const partitions = chain.stops.map(({ node }, stage) =>
    partitionOf(graph, node, (layer) => stages[layer] === stage),
  );
  const used = partitions.filter(({ layers }) => layers.length > 0);
  const hops: PlannedHop[] = [];
  let from = chain.start.fromNode;
  const pass = (link: PlanningLink | undefined, bytes: number): void => {
    if (link === undefined) return;
    hops.push({ from, to: link.to, bytes, transferMs: transferMs(link, bytes, costModel) });
    from = link.to;
  };
  pass(chain.start.link, bytesOf(graph.tensors.filter(({ producer }) => producer === null)));
  for (const [hop, { link }] of chain.hops.entries()) {
    pass(link, bytesOf(graph.tensors.filter((tensor) => crosses(tensor, hop, { chain, stages }))));
  }
  pass(chain.end.link, bytesOf(graph.tensors.filter(({ isOutput }) => isOutput)));
  const stagesMs = [
    ...used.map(({ computeMs }) => computeMs),
    ...hops.map((hop) => hop.transferMs),
  ];
  return {
    source: chain.start.fromNode,
    latencyMs: stagesMs.reduce((sum, ms) => sum + ms, 0),
    transferBytes: hops.reduce((sum, { bytes }) => sum + bytes, 0),
    partitions: used,
    hops,
  };
}

/** Whether the tensor is made up to hop `hop` and wanted behind it. */
function crosses(
  tensor: LayerGraph["tensors"][number],
  hop: number,
  { chain, stages }: { chain: Chain; stages: Uint8Array },
): boolean {
  const made = tensor.producer === null ? 0 : (stages[tensor.producer] ?? 0);
  const last = tensor.isOutput ? chain.hops.length : 0;
  const wanted = tensor.consumers.reduce(
    (most, reader) => Math.max(most, stages[reader] ?? 0),
    last,
  );
  return made <= hop && wanted > hop;
}

function partitionOf(
  graph: LayerGraph,
  node: Stop["node"],
  runsHere: (layer: number) => boolean,
): DagPartition {
  const layers: [number, number][] = [];
  let computeMs = 0;
  for (const [index, { firstLayer, lastLayer }] of graph.layers.entries()) {
    if (!runsHere(index)) continue;
    computeMs += node.blockMs[index] ?? 0;
    const last = layers.at(-1);
    if (last !== undefined && last[1] === firstLayer - 1) last[1] = lastLayer;
    else layers.push([firstLayer, lastLayer]);
  }
  return {
    node: node.name,
    tier: node.tier,
    firstLayer: layers[0]?.[0] ?? 0,
    lastLayer: layers.at(-1)?.[1] ?? 0,
    layers,
    computeMs,
  };
}
