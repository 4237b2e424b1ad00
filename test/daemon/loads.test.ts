import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { aPipeline, type PlanningSite, startPlanningSite } from "../support/planning-site.js";

const LOCAL = { rttMs: 2, bandwidthMbps: 100 };
const DEAD = { rttMs: 2, bandwidthMbps: 0 };

describe("plans and the load of nodes", () => {
  const cleanup: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0)) await step();
  });

  function start(
    devices: readonly string[],
    { requestsPerSecond = 1, edges = ["edge-1", "edge-2"] } = {},
  ): PlanningSite {
    const site = startPlanningSite(devices.map((name) => aPipeline(name, { requestsPerSecond })));
    cleanup.push(() => site.stop());
    site.node("gpu-1", "cloud", 2);
    for (const edge of edges) site.node(edge, "edge", 50);
    for (const device of devices) {
      site.node(device, "device", 10_000);
      site.link(device, "gpu-1", LOCAL);
      for (const edge of edges) site.link(device, edge, LOCAL);
    }
    return site;
  }

  const named = (count: number): string[] =>
    Array.from({ length: count }, (_, index) => `cam-${index + 1}`);
  const countAt = (site: PlanningSite, place: string): number =>
    site.places().filter((name) => name === place).length;

  /** A runtime's reports of its node, one a second. */
  async function report(
    site: PlanningSite,
    stage: { pipeline: string; node: string; computeMs: number; predictedMs: number },
    { seconds, isBusy = false }: { seconds: number; isBusy?: boolean },
  ): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      site.loads.report([stage], { node: stage.node, isBusy, nowMs: site.clock.monotonicMs() });
      await site.pass(1);
    }
  }

  it("spreads devices that lose the same link over edges that are equally good, and leaves them there", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 10 }),
        fc.integer({ min: 2, max: 4 }),
        fc.constantFrom(1, 2, 5),
        async (count, edgeCount, requestsPerSecond) => {
          const edges = Array.from({ length: edgeCount }, (_, index) => `edge-${index + 1}`);
          const devices = named(count);
          const site = start(devices, { requestsPerSecond, edges });
          await site.pass(3);
          expect(countAt(site, "gpu-1")).toBe(count);
          const before = site.decisions.length;
          for (const device of devices) site.link(device, "gpu-1", DEAD);
          await site.pass(10);
          const settled = site.places();
          const counts = edges.map((edge) => countAt(site, edge));
          expect(counts.reduce((sum, one) => sum + one, 0)).toBe(count);
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
          await site.pass(30);
          expect(site.places()).toEqual(settled);
          // Each moved once.
          const since = site.decisions.slice(before);
          expect(since.filter(({ verdict }) => verdict === "published")).toHaveLength(count);
          await site.stop();
        },
      ),
      { numRuns: 15 },
    );
  });

  it("prices a pipeline that is alone as if there were no load at all", async () => {
    const site = start(["cam-1"], { requestsPerSecond: 400 });
    await site.pass(5);
    expect(site.places()).toEqual(["gpu-1"]);
    expect(site.loads.factorFor("vision-cam-1", "gpu-1", site.clock.monotonicMs())).toBe(1);
  });

  it("leaves a node that its runtime measures as overloaded, and says why", async () => {
    const site = start(["cam-1"]);
    site.node("gpu-1", "cloud", 20);
    await site.pass(3);
    const stage = { pipeline: "vision-cam-1", node: "gpu-1", computeMs: 400, predictedMs: 20 };
    await report(site, stage, { seconds: 1 });
    expect(site.places()).toEqual(["gpu-1"]);
    await report(site, stage, { seconds: 6 });
    expect(site.places()[0]).toMatch(/^edge-/);
    const told = site.decisions.findLast(({ verdict }) => verdict === "published")!;
    expect(told.summary).toMatch(
      /^load of gpu-1 rose \d+ % \([\d.]+ → [\d.]+ times its idle time\)/,
    );
    expect(told.triggers[0]?.kind).toBe("load");
  });

  it("stays on an overloaded node that is still the fastest", async () => {
    const site = start(["cam-1"]);
    await site.pass(3);
    const stage = { pipeline: "vision-cam-1", node: "gpu-1", computeMs: 20, predictedMs: 2 };
    await report(site, stage, { seconds: 20 });
    // Ten times 2 ms is less than 50 ms.
    expect(site.places()).toEqual(["gpu-1"]);
  });

  it("takes a busy node for four times as slow at least, at once", async () => {
    const site = start(["cam-1"]);
    site.node("gpu-1", "cloud", 30);
    await site.pass(3);
    const stage = { pipeline: "vision-cam-1", node: "gpu-1", computeMs: 30, predictedMs: 30 };
    await report(site, stage, { seconds: 3, isBusy: true });
    expect(site.places()[0]).toMatch(/^edge-/);
  });

  it("does not swing between two nodes of which each is overloaded by the pipeline itself", async () => {
    // It sends far more than the configuration says, so that whatever node serves it is slow.
    const site = start(["cam-1"]);
    site.node("gpu-1", "cloud", 45);
    await site.pass(3);
    for (let second = 0; second < 1_200; second += 1) {
      const [node] = site.places();
      const predictedMs = node === "gpu-1" ? 45 : 50;
      const stage = {
        pipeline: "vision-cam-1",
        node: node!,
        computeMs: 5 * predictedMs,
        predictedMs,
      };
      await report(site, stage, { seconds: 1 });
    }
    const published = site.decisions.filter(({ verdict }) => verdict === "published");
    expect(published.length).toBeLessThan(30);
    // Ever more seldom: three nodes, each left alone twice as long each time.
    const halfMs = site.clock.nowMs() - 600_000;
    expect(published.filter(({ at }) => at > halfMs).length).toBeLessThan(8);
  }, 60_000);

  it("does not empty a busy node at once: pipelines leave it until it is busy no longer", async () => {
    const site = start(named(6), { edges: ["edge-1"] });
    site.node("gpu-1", "cloud", 30);
    await site.pass(3);
    expect(countAt(site, "gpu-1")).toBe(6);
    for (let second = 0; second < 60; second += 1) {
      // It can serve three of them.
      const isBusy = countAt(site, "gpu-1") > 3;
      for (const [index, place] of site.places().entries()) {
        const stage = {
          pipeline: `vision-cam-${index + 1}`,
          node: place,
          computeMs: 30,
          predictedMs: 30,
        };
        if (place === "gpu-1")
          site.loads.report([stage], { node: place, isBusy, nowMs: site.clock.monotonicMs() });
      }
      await site.pass(1);
    }
    expect(countAt(site, "gpu-1")).toBe(3);
  });

  it("forgets pipelines that are configured no longer", () => {
    const site = start(["cam-1", "cam-2"], { requestsPerSecond: 10 });
    const problem = {
      blocks: [{ firstLayer: 0, lastLayer: 9, outputBytes: 1, carriesInput: false }],
      nodes: [{ name: "edge-1", tier: "edge" as const, blockMs: [50] }],
      inputBytes: 1,
      links: [],
      sources: [],
      costModel: { rttFactor: 1, returnResult: false },
      constraints: aPipeline("cam-1").constraints,
      topK: 1,
    };
    const plan = { revision: 1, partitions: [{ node: "edge-1", firstLayer: 0, lastLayer: 9 }] };
    site.loads.assign(aPipeline("cam-1", { requestsPerSecond: 10 }), plan, problem);
    expect(site.loads.factorFor("vision-cam-2", "edge-1", 0)).toBeCloseTo(2, 9);
    expect(site.loads.factorFor("vision-cam-1", "edge-1", 0)).toBe(1);
    site.loads.keepOnly(new Set(["vision-cam-2"]));
    expect(site.loads.factorFor("vision-cam-2", "edge-1", 0)).toBe(1);
  });
});
