import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  connectLayers,
  constraintsSchema,
  type DagProblem,
  type LayerGraph,
  partitionDag,
  rankPlans,
} from "../../src/planner/index.js";
import type { Tier } from "../../src/protocol/index.js";
import { bruteForceDagLatency, latencyOf, nodesOfPlan } from "../support/brute-force-dag.js";
import { loadSolver, solvedDagLatency } from "../support/dag-solver.js";

const SMALL = fc.integer({ min: 0, max: 6 });
const NODES: readonly { name: string; tier: Tier }[] = [
  { name: "cam", tier: "device" },
  { name: "edge-a", tier: "edge" },
  { name: "edge-b", tier: "edge" },
  { name: "gpu", tier: "cloud" },
];

/** Graphs whose layers read up to three earlier values; whatever nobody reads is an output. */
function graphArbitrary(layers: { min: number; max: number }): fc.Arbitrary<LayerGraph> {
  const layer = fc.record({
    bytes: SMALL,
    reads: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
  });
  return fc
    .record({
      inputs: fc.array(SMALL, { minLength: 1, maxLength: 2 }),
      layers: fc.array(layer, { minLength: layers.min, maxLength: layers.max }),
      outputs: fc.array(fc.nat(), { maxLength: 2 }),
    })
    .map(({ inputs, layers: drawn, outputs }) => {
      const names = [...inputs.map((_, index) => `in${index}`), ...drawn.map((_, at) => `v${at}`)];
      const bytes = new Map(
        names.map((name, at) => [name, [...inputs, ...drawn.map((one) => one.bytes)][at]!]),
      );
      const named = drawn.map(({ reads }, at) => ({
        firstLayer: at,
        lastLayer: at,
        inputs: reads.map((read) => names[read % (inputs.length + at)]!),
        outputs: [`v${at}`],
      }));
      const read = new Set(named.flatMap((one) => one.inputs));
      const unread = drawn.map((_, at) => `v${at}`).filter((name) => !read.has(name));
      const more = outputs.map((output) => `v${output % drawn.length}`);
      return connectLayers(named, {
        inputs: names.slice(0, inputs.length),
        outputs: [...unread, ...more],
        bytes,
      });
    });
}

function problemArbitrary(layers: { min: number; max: number }): fc.Arbitrary<DagProblem> {
  return fc
    .record({ graph: graphArbitrary(layers), nodes: fc.subarray([...NODES], { minLength: 1 }) })
    .chain(({ graph, nodes }) => {
      const times = fc.array(SMALL, {
        minLength: graph.layers.length,
        maxLength: graph.layers.length,
      });
      const pairs = NODES.flatMap((from) => NODES.map((to) => ({ from: from.name, to: to.name })));
      return fc.record({
        graph: fc.constant(graph),
        nodes: fc
          .array(times, { minLength: nodes.length, maxLength: nodes.length })
          .map((all) => nodes.map((node, index) => ({ ...node, blockMs: all[index]! }))),
        links: fc
          .array(
            fc.record({ rttMs: SMALL, bandwidthMbps: fc.constantFrom(0.002, 0.004, 0.008, 0.08) }),
            { minLength: pairs.length, maxLength: pairs.length },
          )
          .map((all) => pairs.map((pair, index) => ({ ...pair, ...all[index]! })))
          .chain((links) => fc.subarray(links, { minLength: Math.ceil(links.length * 0.7) })),
        sources: fc.constant(["cam"]),
        costModel: fc.record({ rttFactor: fc.constantFrom(1, 0.5, 0), returnResult: fc.boolean() }),
        constraints: fc
          .constantFrom(
            {},
            {},
            {},
            { edge: { use: "must" } },
            { device: { use: "must" } },
            { rawInputStaysOn: "device" },
          )
          .map((value) => constraintsSchema.parse(value)),
      });
    });
}

describe("partitionDag", () => {
  it("is as good as the best of all assignments", () => {
    fc.assert(
      fc.property(problemArbitrary({ min: 1, max: 6 }), (problem) => {
        const plan = partitionDag(problem);
        const best = bruteForceDagLatency(problem);
        if (plan === null) expect(best).toBe(Infinity);
        else expect(plan.latencyMs).toBeCloseTo(best, 9);
      }),
      { numRuns: 500 },
    );
  });

  it("is as good as an integer programme's optimum on graphs of dozens of layers", async () => {
    const solver = await loadSolver();
    fc.assert(
      fc.property(problemArbitrary({ min: 25, max: 40 }), (problem) => {
        const free = { ...problem, constraints: constraintsSchema.parse({}) };
        const plan = partitionDag(free);
        const best = solvedDagLatency(solver, free);
        if (plan === null) expect(best).toBe(Infinity);
        else expect(plan.latencyMs).toBeCloseTo(best, 5);
      }),
      { numRuns: 15 },
    );
  });

  it("says what it does: the price of its assignment is the price it names", () => {
    fc.assert(
      fc.property(problemArbitrary({ min: 1, max: 30 }), (problem) => {
        const plan = partitionDag(problem);
        fc.pre(plan !== null);
        const latencyMs = latencyOf(problem, plan.source, nodesOfPlan(problem, plan));
        expect(plan.latencyMs).toBeCloseTo(latencyMs, 9);
        const hopMs = plan.hops.reduce((sum, hop) => sum + hop.transferMs, 0);
        const runMs = plan.partitions.reduce((sum, part) => sum + part.computeMs, 0);
        expect(hopMs + runMs).toBeCloseTo(plan.latencyMs, 9);
      }),
      { numRuns: 300 },
    );
  });

  it("gives on a chain of layers what planning by blocks gives", () => {
    const chain = fc.array(fc.record({ bytes: SMALL }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(
        problemArbitrary({ min: 12, max: 12 }),
        chain,
        SMALL,
        (base, layers, inputBytes) => {
          const named = layers.map((_, at) => ({
            firstLayer: at,
            lastLayer: at,
            inputs: [at === 0 ? "in" : `v${at - 1}`],
            outputs: [`v${at}`],
          }));
          const bytes = new Map([
            ["in", inputBytes],
            ...layers.map((one, at) => [`v${at}`, one.bytes] as const),
          ]);
          const graph = connectLayers(named, {
            inputs: ["in"],
            outputs: [`v${layers.length - 1}`],
            bytes: bytes,
          });
          const nodes = base.nodes.map((node) => ({
            ...node,
            blockMs: node.blockMs.slice(0, layers.length),
          }));
          const links = base.links.filter(({ from, to }) => from !== to);
          const plan = partitionDag({ ...base, graph, nodes, links });
          const { plans } = rankPlans({
            ...base,
            nodes,
            links,
            blocks: layers.map((one, at) => ({
              firstLayer: at,
              lastLayer: at,
              outputBytes: one.bytes,
            })),
            inputBytes,
            topK: 1,
          });
          if (plan === null) expect(plans).toEqual([]);
          else expect(plan.latencyMs).toBeCloseTo(plans[0]!.latencyMs, 9);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("names layers that are not consecutive as ranges", () => {
    const graph = connectLayers(
      [
        { firstLayer: 0, lastLayer: 0, inputs: ["in"], outputs: ["a"] },
        { firstLayer: 1, lastLayer: 1, inputs: ["in"], outputs: ["b"] },
        { firstLayer: 2, lastLayer: 2, inputs: ["a"], outputs: ["c"] },
        { firstLayer: 3, lastLayer: 3, inputs: ["b", "c"], outputs: ["out"] },
      ],
      {
        inputs: ["in"],
        outputs: ["out"],
        bytes: new Map([
          ["in", 900],
          ["a", 900],
          ["b", 900],
          ["c", 1],
          ["out", 1],
        ]),
      },
    );
    const plan = partitionDag({
      graph,
      nodes: [
        { name: "cam", tier: "device", blockMs: [1, 1, 1, 500] },
        { name: "gpu", tier: "cloud", blockMs: [1, 1, 1, 1] },
      ],
      links: [{ from: "cam", to: "gpu", rttMs: 1, bandwidthMbps: 0.08 }],
      sources: ["cam"],
      costModel: { rttFactor: 1, returnResult: false },
      constraints: constraintsSchema.parse({
        device: { mustRunLayers: [0] },
        cloud: { mustRunLayers: [1] },
      }),
    });
    expect(plan?.partitions).toEqual([
      {
        node: "cam",
        tier: "device",
        firstLayer: 0,
        lastLayer: 2,
        layers: [
          [0, 0],
          [2, 2],
        ],
        computeMs: 2,
      },
      {
        node: "gpu",
        tier: "cloud",
        firstLayer: 1,
        lastLayer: 3,
        layers: [
          [1, 1],
          [3, 3],
        ],
        computeMs: 2,
      },
    ]);
    expect(plan?.hops[0]?.bytes).toBe(901);
  });

  it("refuses limits that a cut cannot keep", () => {
    const problem = fc.sample(problemArbitrary({ min: 2, max: 2 }), { numRuns: 1, seed: 1 })[0]!;
    const constraints = constraintsSchema.parse({ latencyMsMax: 5 });
    expect(() => partitionDag({ ...problem, constraints })).toThrow(/plan by blocks instead/);
  });
});
