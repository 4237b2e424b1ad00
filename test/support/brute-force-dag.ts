import type { DagPlan, DagProblem, PlanningNode } from "../../src/planner/index.js";

const TIERS = ["device", "edge", "cloud"];

/** The least latency of all assignments of layers to nodes; Infinity where there is none. */
export function bruteForceDagLatency(problem: DagProblem): number {
  let best = Infinity;
  for (const nodes of assignments(problem.nodes, problem.graph.layers.length)) {
    for (const source of problem.sources) {
      best = Math.min(best, latencyOf(problem, source, nodes));
    }
  }
  return best;
}

function* assignments(nodes: readonly PlanningNode[], length: number): Generator<PlanningNode[]> {
  if (length === 0) {
    yield [];
    return;
  }
  for (const rest of assignments(nodes, length - 1)) {
    for (const node of nodes) yield [...rest, node];
  }
}

/** The price of running each layer on a node, by the definition; Infinity where that is not allowed. */
export function latencyOf(
  problem: DagProblem,
  source: string,
  nodes: readonly PlanningNode[],
): number {
  const { graph, costModel } = problem;
  const used = [...new Set(nodes)].sort((a, b) => TIERS.indexOf(a.tier) - TIERS.indexOf(b.tier));
  if (new Set(used.map(({ tier }) => tier)).size < used.length) return Infinity;
  if (used.some(({ tier, name }) => tier === "device" && name !== source)) return Infinity;
  if (TIERS.some((tier) => mustUse(problem, tier) && !used.some((node) => node.tier === tier))) {
    return Infinity;
  }
  const mustStay = problem.constraints.rawInputStaysOn === "device";
  const readers = graph.tensors.flatMap(({ producer, consumers }) =>
    producer === null ? consumers : [],
  );
  if (mustStay && [0, ...readers].some((layer) => nodes[layer]!.name !== source)) return Infinity;
  const stageOf = (layer: number): number => used.indexOf(nodes[layer]!);
  const chain = used[0]?.name === source ? [source] : [source, used[0]!.name];
  const offset = chain.length - 1;
  chain.push(...used.slice(1).map(({ name }) => name));
  let latencyMs = nodes.reduce((sum, node, layer) => sum + node.blockMs[layer]!, 0);
  for (let hop = 0; hop + 1 < chain.length; hop += 1) {
    const link = problem.links.find((one) => one.from === chain[hop] && one.to === chain[hop + 1]);
    if (link === undefined) return Infinity;
    let bytes = 0;
    for (const tensor of graph.tensors) {
      const made = tensor.producer === null ? 0 : stageOf(tensor.producer) + offset;
      const wanted = tensor.consumers.map((reader) => stageOf(reader) + offset);
      if (wanted.some((stage) => stage < made)) return Infinity;
      if (tensor.isOutput) wanted.push(chain.length - 1);
      // On the way to the first node every input of the model goes along.
      if (hop < offset ? tensor.producer === null : made <= hop && Math.max(...wanted) > hop) {
        bytes += tensor.bytes;
      }
    }
    latencyMs += costModel.rttFactor * link.rttMs + (bytes * 8) / link.bandwidthMbps / 1_000;
  }
  for (const tensor of graph.tensors) {
    if (tensor.producer === null) continue;
    if (tensor.consumers.some((reader) => stageOf(reader) < stageOf(tensor.producer!))) {
      return Infinity;
    }
  }
  const last = used.at(-1)!.name;
  if (costModel.returnResult && last !== source) {
    const link = problem.links.find((one) => one.from === last && one.to === source);
    if (link === undefined) return Infinity;
    const bytes = graph.tensors
      .filter(({ isOutput }) => isOutput)
      .reduce((sum, tensor) => sum + tensor.bytes, 0);
    latencyMs += costModel.rttFactor * link.rttMs + (bytes * 8) / link.bandwidthMbps / 1_000;
  }
  return latencyMs;
}

function mustUse({ constraints }: DagProblem, tier: string): boolean {
  return constraints[tier as "edge"].use === "must";
}

/** The node of each layer in a plan. */
export function nodesOfPlan(problem: DagProblem, plan: DagPlan): PlanningNode[] {
  return problem.graph.layers.map(({ firstLayer }) => {
    const partition = plan.partitions.find(({ layers }) =>
      layers.some(([first, last]) => first <= firstLayer && firstLayer <= last),
    );
    return problem.nodes.find(({ name }) => name === partition!.node)!;
  });
}
