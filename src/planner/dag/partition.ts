import { AppError } from "../../core/index.js";
import { type Tier, TIERS } from "../../protocol/index.js";
import { buildField, type Field } from "../field.js";
import type { PlannedHop, PlanningLink, PlanningProblem } from "../problem.js";
import type { Stop } from "../routes.js";
import { compileRules } from "../rules.js";
import { transferMs } from "../weights.js";
import { bytesOf, ChainPricing } from "./chain-pricing.js";
import { type Chain, chainsOf } from "./chains.js";
import { cheapestChain } from "./cheapest-chain.js";
import type { DagProblem } from "./dag-problem.js";
import type { LayerGraph } from "./layer-graph.js";

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
 * is paid once. Exact: each hop's own best split is solved once for all sets of nodes, and where the
 * splits of a set's hops do not fit each other, one minimum cut of both together decides.
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
  const best = cheapestChain(graph, chainsOf(field), new ChainPricing(problem, field));
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
