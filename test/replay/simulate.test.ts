import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { driftOptionsSchema } from "../../src/drift/index.js";
import {
  constraintsSchema,
  type PlanningProblem,
  type RankedPlan,
  rankPlans,
  SCISSION_COST_MODEL,
} from "../../src/planner/index.js";
import { replayTrace, type Scene } from "../../src/replay/index.js";

const OPTIONS = driftOptionsSchema.parse({});
const BLOCKS = 4;
const NODES = [
  { name: "cam", tier: "device" },
  { name: "edge", tier: "edge" },
  { name: "gpu-1", tier: "cloud" },
  { name: "gpu-2", tier: "cloud" },
] as const;
const LINKS = [
  ["cam", "edge"],
  ["cam", "gpu-1"],
  ["cam", "gpu-2"],
  ["edge", "gpu-1"],
  ["edge", "gpu-2"],
] as const;

// No two sums are equal but by chance, so no result depends on how ties are broken.
const ms = fc.double({ min: 1, max: 500, noNaN: true });
const bytes = fc.integer({ min: 1, max: 2_000_000 });
const mbps = fc.double({ min: 0.05, max: 50, noNaN: true });
const rate = fc.oneof({ weight: 8, arbitrary: mbps }, { weight: 1, arbitrary: fc.constant(0) });

const problemArbitrary: fc.Arbitrary<PlanningProblem> = fc
  .record({
    outputBytes: fc.array(bytes, { minLength: BLOCKS, maxLength: BLOCKS }),
    inputBytes: bytes,
    blockMs: fc.array(fc.array(ms, { minLength: BLOCKS, maxLength: BLOCKS }), {
      minLength: NODES.length,
      maxLength: NODES.length,
    }),
    rtts: fc.array(ms, { minLength: LINKS.length, maxLength: LINKS.length }),
    rates: fc.array(mbps, { minLength: LINKS.length, maxLength: LINKS.length }),
  })
  .map(({ outputBytes, inputBytes, blockMs, rtts, rates }) => ({
    blocks: outputBytes.map((size, index) => ({
      firstLayer: index,
      lastLayer: index,
      outputBytes: size,
    })),
    inputBytes,
    nodes: NODES.map((node, index) => ({ ...node, blockMs: blockMs[index]! })),
    links: LINKS.map(([from, to], index) => ({
      from,
      to,
      rttMs: rtts[index]!,
      bandwidthMbps: rates[index]!,
    })),
    sources: ["cam"],
    costModel: SCISSION_COST_MODEL,
    constraints: constraintsSchema.parse({}),
    topK: 1,
  }));

/** Latency of every plan there is, by the definition alone. */
function everyPlan(scene: Scene): ((mbps: number) => number)[] {
  const all = rankPlans({ ...scene.problem, topK: 100_000 }).plans;
  const aloneMs = scene.problem.nodes[0]!.blockMs.reduce((sum, value) => sum + value, 0);
  return all.map((plan: RankedPlan) => (bandwidth) => {
    let latencyMs = plan.partitions.reduce((sum, partition) => sum + partition.computeMs, 0);
    for (const hop of plan.hops) {
      const link = scene.problem.links.find(({ from, to }) => from === hop.from && to === hop.to)!;
      const speed = hop.from === "cam" ? bandwidth : link.bandwidthMbps;
      latencyMs += link.rttMs + (hop.bytes * 8) / (speed * 1_000);
    }
    return Math.min(latencyMs, aloneMs + scene.fallbackMs);
  });
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const bestOf = (plans: readonly ((mbps: number) => number)[], bandwidth: number) =>
  plans.reduce((a, b) => (b(bandwidth) < a(bandwidth) ? b : a));

describe("replayTrace", () => {
  it("finds what trying every plan finds", () => {
    const cases = fc.tuple(
      problemArbitrary,
      fc.array(rate, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 2_000 }),
    );
    fc.assert(
      fc.property(cases, ([problem, trace, fallbackMs]) => {
        const scene: Scene = {
          problem,
          varied: [
            ["device", "edge"],
            ["device", "cloud"],
          ],
          fallbackMs,
        };
        const replay = replayTrace(scene, trace, { policy: OPTIONS, switchMs: 0 });
        const plans = everyPlan(scene);
        const near = (actual: number, expected: number): void => {
          expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-7 * Math.max(1, expected));
        };
        near(
          replay.oracle.meanLatencyMs,
          mean(trace.map((bandwidth) => bestOf(plans, bandwidth)(bandwidth))),
        );
        near(
          replay.bestStatic.meanLatencyMs,
          Math.min(...plans.map((latency) => mean(trace.map(latency)))),
        );
        const early = bestOf(plans, mean(trace.slice(0, 10)));
        near(replay.static.meanLatencyMs, mean(trace.map(early)));
        const tracked = trace
          .slice(1)
          .map((bandwidth, index) => bestOf(plans, trace[index]!)(bandwidth));
        near(
          replay.tracker.meanLatencyMs * trace.length - trackerStart(replay, trace),
          sum(tracked),
        );
      }),
      { numRuns: 60 },
    );
  });

  it("charges each switch to whoever switches by what was measured, never to the oracle", () => {
    fc.assert(
      fc.property(
        problemArbitrary,
        fc.array(rate, { minLength: 2, maxLength: 30 }),
        (problem, trace) => {
          const scene: Scene = { problem, varied: [["device", "cloud"]], fallbackMs: 500 };
          const free = replayTrace(scene, trace, { policy: OPTIONS, switchMs: 0 });
          const dear = replayTrace(scene, trace, { policy: OPTIONS, switchMs: 300 });
          for (const name of ["adaptive", "tracker"] as const) {
            const extraMs = (dear[name].switches * 300) / trace.length;
            expect(dear[name].meanLatencyMs - free[name].meanLatencyMs).toBeCloseTo(extraMs, 6);
          }
          expect(dear.oracle.meanLatencyMs).toBe(free.oracle.meanLatencyMs);
          expect(free.oracle.meanLatencyMs).toBeLessThanOrEqual(
            free.bestStatic.meanLatencyMs + 1e-9,
          );
        },
      ),
      { numRuns: 40 },
    );
  });
});

/** The first second is served by the plan for the links before the trace. */
function trackerStart(replay: ReturnType<typeof replayTrace>, trace: readonly number[]): number {
  expect(trace.length).toBe(replay.tracker.plans.length);
  return replay.latenciesMs[0]![replay.tracker.plans[0]!]!;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
