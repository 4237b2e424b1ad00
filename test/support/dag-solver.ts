import { createRequire } from "node:module";
import type { LegacyHighs as Solver } from "highs";
import type { DagProblem, PlanningLink, PlanningNode } from "../../src/planner/index.js";

/** The package's types describe a CommonJS module, so it is loaded as one. */
export async function loadSolver(): Promise<Solver> {
  const load = createRequire(import.meta.url)("highs") as () => Promise<Solver>;
  return await load();
}

/** The least latency by integer programming: one programme for each set of nodes. */
export function solvedDagLatency(solver: Solver, problem: DagProblem): number {
  const [source = ""] = problem.sources;
  let best = Infinity;
  for (const chain of chains(problem.nodes)) {
    const programme = programmeOf(problem, source, chain);
    if (programme === undefined) continue;
    const solution = solver.solve(programme.text);
    if (solution.Status === "Optimal") {
      best = Math.min(best, solution.ObjectiveValue + programme.fixedMs);
    }
  }
  return best;
}

function chains(nodes: readonly PlanningNode[]): PlanningNode[][] {
  const of = (tier: string): (PlanningNode | undefined)[] => [
    undefined,
    ...nodes.filter((node) => node.tier === tier),
  ];
  const all = of("device").flatMap((device) =>
    of("edge").flatMap((edge) =>
      of("cloud").map((cloud) => [device, edge, cloud].filter((node) => node !== undefined)),
    ),
  );
  return all.filter((chain) => chain.length > 0);
}

/** x_l_s = 1: layer l runs at stage s; c_t_h = 1: tensor t crosses hop h. */
function programmeOf(
  problem: DagProblem,
  source: string,
  chain: readonly PlanningNode[],
): { text: string; fixedMs: number } | undefined {
  const { graph, costModel } = problem;
  const linkOf = (from: string, to: string): PlanningLink | undefined =>
    problem.links.find((link) => link.from === from && link.to === to);
  const bitsMs = (bytes: number, link: PlanningLink): number =>
    (bytes * 8) / link.bandwidthMbps / 1_000;
  const sizeOf = (isWanted: (tensor: (typeof graph.tensors)[number]) => boolean): number =>
    graph.tensors.filter(isWanted).reduce((sum, tensor) => sum + tensor.bytes, 0);

  const hops = chain.slice(1).map((node, hop) => linkOf(chain[hop]!.name, node.name));
  if (hops.includes(undefined)) return undefined;
  let fixedMs = hops.reduce((sum, link) => sum + costModel.rttFactor * link!.rttMs, 0);
  const ends: [string, string, number][] = [
    [source, chain[0]!.name, sizeOf(({ producer }) => producer === null)],
  ];
  if (costModel.returnResult) {
    ends.push([chain.at(-1)!.name, source, sizeOf(({ isOutput }) => isOutput)]);
  }
  for (const [from, to, bytes] of ends) {
    if (from === to) continue;
    const link = linkOf(from, to);
    if (link === undefined) return undefined;
    fixedMs += costModel.rttFactor * link.rttMs + bitsMs(bytes, link);
  }

  const terms: string[] = ["0 zero"];
  const rows: string[] = [];
  const names: string[] = [];
  const layers = graph.layers.map((_, layer) => layer);
  for (const layer of layers) {
    const own = chain.map((_, stage) => `x_${layer}_${stage}`);
    names.push(...own);
    rows.push(`${own.join(" + ")} = 1`);
    for (const [stage, node] of chain.entries()) {
      terms.push(`${node.blockMs[layer]!} x_${layer}_${stage}`);
    }
  }
  for (const stage of chain.keys()) {
    rows.push(`${layers.map((layer) => `x_${layer}_${stage}`).join(" + ")} >= 1`);
  }
  /** "Runs behind the hop" as a sum. */
  const behind = (layer: number, hop: number): string =>
    chain
      .map((_, stage) => stage)
      .filter((stage) => stage > hop)
      .map((stage) => `+ x_${layer}_${stage}`)
      .join(" ");
  const minus = (sum: string): string => sum.replaceAll("+", "-");
  for (const [hop, link] of hops.entries()) {
    for (const [index, tensor] of graph.tensors.entries()) {
      const crossing = `c_${index}_${hop}`;
      names.push(crossing);
      terms.push(`${bitsMs(tensor.bytes, link!)} ${crossing}`);
      const made = tensor.producer === null ? "" : behind(tensor.producer, hop);
      for (const reader of tensor.consumers) {
        rows.push(`${crossing} ${minus(behind(reader, hop))} ${made} >= 0`);
        if (tensor.producer !== null) rows.push(`${behind(reader, hop)} ${minus(made)} >= 0`);
      }
      if (tensor.isOutput) rows.push(`${crossing} ${made} >= 1`);
    }
  }
  const text = [
    "Minimize",
    ` cost: ${terms.join(" + ")}`,
    "Subject To",
    ...rows.map((row, index) => ` r${index}: ${row}`),
    "Bounds",
    " zero = 0",
    "Binary",
    ` ${names.join(" ")}`,
    "End",
  ].join("\n");
  return { text, fixedMs };
}
