import { expect, it } from "vitest";
import { BusyHosts } from "../../src/daemon/busy-hosts.js";
import { Context } from "../../src/daemon/context.js";
import { Loads } from "../../src/daemon/loads.js";
import { ProgressBoard } from "../../src/daemon/progress-board.js";
import { takeReport } from "../../src/daemon/reports.js";
import type { Running } from "../../src/daemon/running.js";
import type { NodeState, ReportMessage } from "../../src/protocol/index.js";
import { emptyState } from "../../src/store/state.js";
import { ManualClock } from "../support/manual-clock.js";
import { aPipeline } from "../support/planning-site.js";
import { aPlan } from "../support/plans.js";
import { aProfile } from "../support/profiles.js";

const BUSY: ReportMessage = {
  type: "report",
  pipeline: "vision",
  revision: 1,
  busy: true,
  stages: [],
  transfers: [],
};

it("takes reports of nodes that were heard of only: made-up names fill no memory", () => {
  const clock = new ManualClock();
  const busy = new BusyHosts(clock);
  const loads = new Loads();
  const context = new Context();
  // No more of a daemon than a report without stages and transfers is taken into.
  const running = {
    ...{ clock, busy, loads, context, progress: new ProgressBoard(clock) },
    parts: {},
    self: { node: "gpu-1" },
    store: { state: emptyState("epoch") },
    desired: { config: { pipelines: [] }, models: [] },
  };
  const report = (): void => takeReport(running as unknown as Running, "gpu-1", BUSY);
  report();
  expect(busy.liveWork("node gpu-1")).toBe("none");
  expect(loads.factorOf("gpu-1", clock.monotonicMs())).toBe(1);
  context.recordNode({ node: "gpu-1" } as NodeState);
  report();
  expect(busy.liveWork("node gpu-1")).toBe("overload");
  expect(loads.factorOf("gpu-1", clock.monotonicMs())).toBeGreaterThan(1);
});

/** One model of two blocks of 100 ms, the layers 0–4 and 5–9, on "gpu-1". */
function measuredSite(measuredMs: number, confirm: { enabled: boolean }) {
  const clock = new ManualClock();
  const { environment, model, blocks } = aProfile();
  const [block] = blocks;
  const node = { name: "gpu-1", tier: "cloud", hardwareClass: "gpu" } as const;
  const profile = aProfile({
    node,
    wholeMs: 200,
    blocks: [
      { ...block!, lastLayer: 4, medianMs: 100 },
      { ...block!, index: 1, firstLayer: 5, medianMs: 100 },
    ],
  });
  const context = new Context();
  context.recordNode({
    ...{ node: "gpu-1", tier: "cloud", status: "online", bootId: "1", hardwareClass: "gpu" },
    ...{ version: "test", logicalCores: 1, memoryBytes: 1, emulatedSlowdown: 1, models: [] },
  });
  context.recordProfile(profile);
  const range = {
    ...{ modelSha256: model.sha256, node: "gpu-1", hardwareClass: "gpu", environment },
    ...{ firstLayer: 5, lastLayer: 9, medianMs: measuredMs, p95Ms: measuredMs },
    ...{ spreadMs: 1, repeats: 5, stable: true, measuredAt: clock.nowMs() },
    profile: { wholeMs: 200, fullAt: profile.measuredAt },
  };
  const { name: pipeline, constraints, costModel, thresholds } = aPipeline("cam-1");
  const [partition] = aPlan().partitions;
  const planFor = (firstLayer: number, lastLayer: number) =>
    aPlan({
      ...{ pipeline, model },
      partitions: [{ ...partition!, node: "gpu-1", tier: "cloud", firstLayer, lastLayer }],
    });
  const configured = { name: "vision", model: model.name, devices: ["cam-1"] };
  const settings = { constraints, costModel, thresholds, requestsPerSecond: 0.001 };
  const loads = new Loads();
  /** The load of the node after a minute of such reports. */
  const factorAfter = (layers: readonly [number, number], computeMs: number): number => {
    const plan = planFor(...layers);
    const running = {
      ...{ clock, loads, context, busy: new BusyHosts(clock), parts: {} },
      progress: new ProgressBoard(clock),
      confirmed: [range],
      self: { node: "gpu-1" },
      store: {
        state: { ...emptyState("epoch"), pipelines: [{ name: pipeline, revision: 1, plan }] },
      },
      desired: {
        config: {
          pipelines: [{ ...configured, ...settings }],
          confirm: { enabled: confirm.enabled, roundsMax: 1, timeoutMs: 1, maxAgeHours: 48 },
        },
        models: [model],
      },
    };
    const stages = [{ node: "gpu-1", computeMs }];
    for (let second = 0; second < 60; second += 1) {
      clock.advance(1_000);
      const message = { ...BUSY, pipeline, busy: false, stages };
      takeReport(running as unknown as Running, "gpu-1", message);
    }
    return loads.factorOf("gpu-1", clock.monotonicMs());
  };
  return { factorAfter };
}

it("takes what a partition is known to need beyond its blocks for no load of the node", () => {
  const on = { enabled: true };
  expect(measuredSite(200, on).factorAfter([5, 9], 200)).toBe(1);
  // Not measured itself: expected to be off like that which was.
  expect(measuredSite(200, on).factorAfter([0, 4], 200)).toBe(1);
  expect(measuredSite(200, on).factorAfter([5, 9], 400)).toBeGreaterThan(1.5);
  expect(measuredSite(200, { enabled: false }).factorAfter([5, 9], 200)).toBeGreaterThan(1.5);
});
