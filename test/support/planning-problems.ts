import fc from "fast-check";
import {
  type Constraints,
  constraintsSchema,
  type Objective,
  type PlanningNode,
  type PlanningProblem,
} from "../../src/planner/index.js";
import type { Tier } from "../../src/protocol/index.js";

/** Few small whole numbers, and a bandwidth at which a byte takes whole milliseconds: many exact ties. */
const SMALL = fc.integer({ min: 0, max: 4 });
const ONE_BYTE_PER_MS_MBPS = 0.008;

const NODES: readonly { name: string; tier: Tier }[] = [
  { name: "cam-a", tier: "device" },
  { name: "cam-b", tier: "device" },
  { name: "edge-a", tier: "edge" },
  { name: "edge-b", tier: "edge" },
  { name: "gpu-a", tier: "cloud" },
];
const NAMES = NODES.map(({ name }) => name);

/** Every field of the constraints, mostly unset. */
function constraintsArbitrary(lastLayer: number): fc.Arbitrary<Constraints> {
  const rarely = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
    fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
  const layers = fc.array(fc.integer({ min: 0, max: lastLayer }), { maxLength: 1 });
  const names = (allowed: readonly string[]): fc.Arbitrary<string[] | undefined> =>
    rarely(fc.uniqueArray(fc.constantFrom(...allowed), { minLength: 1, maxLength: 2 }));
  const placement = {
    mustRunLayers: rarely(layers),
    mustNotRunLayers: rarely(layers),
    uploadBytesMax: rarely(fc.integer({ min: 0, max: 6 })),
    computeMsMax: rarely(fc.integer({ min: 0, max: 10 })),
    computePercentMax: rarely(fc.constantFrom(0, 25, 50, 75, 100)),
  };
  const tier = (name: Tier): fc.Arbitrary<object | undefined> =>
    rarely(
      fc.record({
        use: rarely(fc.constantFrom("may", "must", "never")),
        nodes: names(NODES.filter((node) => node.tier === name).map((node) => node.name)),
        ...placement,
      }),
    );
  return fc
    .record({
      rawInputStaysOn: rarely(fc.constant("device")),
      minBlocksOnDevice: rarely(fc.integer({ min: 0, max: 2 })),
      latencyMsMax: rarely(fc.integer({ min: 1, max: 30 })),
      nodes: rarely(fc.record({ exclude: names(NAMES), require: names(NAMES) })),
      device: tier("device"),
      edge: tier("edge"),
      cloud: tier("cloud"),
      limits: rarely(
        fc.array(fc.record({ node: fc.constantFrom(...NAMES), ...placement }), { maxLength: 1 }),
      ),
    })
    .map((value) => constraintsSchema.parse(withoutUndefined(value)));
}

function withoutUndefined(value: object): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** Units chosen so that every energy is a whole number of millijoules and every price a whole number. */
const MEMORY = fc.oneof({ weight: 3, arbitrary: fc.constant(64) }, { weight: 1, arbitrary: SMALL });
const PER_HOUR = SMALL.map((price) => price * 3.6e6);
const PER_GIGABYTE = SMALL.map((price) => price * 1e9);
const PER_MEGABYTE = SMALL.map((joules) => joules * 1e3);

function nodesArbitrary(blockCount: number): fc.Arbitrary<PlanningNode[]> {
  const details = fc.record({
    blockMs: fc.array(SMALL, { minLength: blockCount, maxLength: blockCount }),
    activeWatts: SMALL,
    pricePerHour: PER_HOUR,
    memoryBytes: MEMORY.map((bytes) => bytes * 3),
  });
  return fc
    .subarray([...NODES], { minLength: 1 })
    .chain((nodes) =>
      fc
        .array(details, { minLength: nodes.length, maxLength: nodes.length })
        .map((all) => nodes.map((node, index) => ({ ...node, ...all[index]! }))),
    );
}

const OBJECTIVES: fc.Arbitrary<Objective> = fc.oneof(
  fc.constantFrom("latency" as const, "throughput" as const, "energy" as const, "cost" as const),
  fc.record({
    latency: fc.constantFrom(0, 1_000),
    energy: fc.constantFrom(0, 1_000, 2_000),
    cost: fc.constantFrom(0, 1),
  }),
);

/** Ranges of layers, some of them whole blocks, that were measured on nodes of the problem. */
export function measuredArbitrary(options: { paths: boolean }): fc.Arbitrary<PlanningProblem> {
  return problemArbitrary(options).chain((problem) => {
    const layers = problem.blocks.flatMap(({ firstLayer, lastLayer }) => [firstLayer, lastLayer]);
    const range = fc.record({
      firstLayer: fc.constantFrom(...layers),
      lastLayer: fc.constantFrom(...layers),
      ms: fc.integer({ min: 0, max: 12 }),
    });
    const measured = fc.uniqueArray(range, {
      maxLength: 6,
      selector: ({ firstLayer, lastLayer }) => `${firstLayer} ${lastLayer}`,
    });
    const count = problem.nodes.length;
    return fc
      .record({
        measured: fc.array(measured, { minLength: count, maxLength: count }),
        estimateFactor: fc.constantFrom(1, 2, 3),
        onlyMeasured: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
      })
      .map(({ measured: all, estimateFactor, onlyMeasured }) => ({
        ...problem,
        onlyMeasured,
        nodes: problem.nodes.map((node, index) => ({
          ...node,
          measured: all[index]!,
          // One node's blocks promise too much.
          ...(index === 0 ? { estimateFactor } : {}),
        })),
      }));
  });
}

/** Small problems of every kind: ties, zero times, missing links, several sources, constraints, paths. */
export function problemArbitrary(options: { paths: boolean }): fc.Arbitrary<PlanningProblem> {
  return fc
    .array(
      fc.record({
        layers: fc.integer({ min: 1, max: 3 }),
        outputBytes: SMALL,
        weightBytes: SMALL,
        carriesInput: fc.boolean(),
      }),
      {
        minLength: 1,
        maxLength: 4,
      },
    )
    .chain((sizes) => {
      let next = 0;
      const blocks = sizes.map(({ layers, ...bytes }) => {
        const firstLayer = next;
        next += layers;
        return { firstLayer, lastLayer: next - 1, ...bytes };
      });
      const path = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 });
      return fc.record({
        blocks: fc.constant(blocks),
        inputBytes: SMALL,
        nodes: nodesArbitrary(blocks.length),
        links: linksArbitrary(),
        sources: fc.constantFrom(["cam-a"], ["cam-a", "cam-b"], ["cam-b", "cam-a"]),
        costModel: fc.record({
          rttFactor: fc.constantFrom(1, 0.5),
          returnResult: fc.boolean(),
        }),
        constraints: constraintsArbitrary(next),
        objective: OBJECTIVES,
        topK: fc.integer({ min: 1, max: 12 }),
        ...(options.paths ? { paths: fc.array(path, { minLength: 1, maxLength: 3 }) } : {}),
      });
    });
}

/** Most of the links between any two nodes. */
function linksArbitrary(): fc.Arbitrary<PlanningProblem["links"][number][]> {
  const pairs = NAMES.flatMap((from) => NAMES.map((to) => ({ from, to }))).filter(
    ({ from, to }) => from !== to,
  );
  const link = fc.option(
    fc.record({
      rttMs: SMALL,
      bandwidthMbps: fc.constantFrom(ONE_BYTE_PER_MS_MBPS, ONE_BYTE_PER_MS_MBPS / 2),
      joulesPerMegabyte: PER_MEGABYTE,
      pricePerGigabyte: PER_GIGABYTE,
    }),
    { nil: undefined, freq: 8 },
  );
  return fc.array(link, { minLength: pairs.length, maxLength: pairs.length }).map((values) =>
    pairs.flatMap((pair, index) => {
      const value = values[index];
      return value === undefined ? [] : [{ ...pair, ...value }];
    }),
  );
}
