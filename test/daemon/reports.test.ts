import { expect, it } from "vitest";
import { BusyNodes } from "../../src/daemon/busy-nodes.js";
import { Context } from "../../src/daemon/context.js";
import { Loads } from "../../src/daemon/loads.js";
import { takeReport } from "../../src/daemon/reports.js";
import type { Running } from "../../src/daemon/running.js";
import type { NodeState, ReportMessage } from "../../src/protocol/index.js";
import { emptyState } from "../../src/store/state.js";
import { ManualClock } from "../support/manual-clock.js";

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
  const busy = new BusyNodes(clock);
  const loads = new Loads();
  const context = new Context();
  // No more of a daemon than a report without stages and transfers is taken into.
  const running = {
    ...{ clock, busy, loads, context },
    parts: {},
    self: { node: "gpu-1" },
    store: { state: emptyState("epoch") },
    desired: { config: { pipelines: [] }, models: [] },
  };
  const report = (): void => takeReport(running as unknown as Running, "gpu-1", BUSY);
  report();
  expect(busy.liveWork("gpu-1")).toBe("none");
  expect(loads.factorOf("gpu-1", clock.monotonicMs())).toBe(1);
  context.recordNode({ node: "gpu-1" } as NodeState);
  report();
  expect(busy.liveWork("gpu-1")).toBe("overload");
  expect(loads.factorOf("gpu-1", clock.monotonicMs())).toBeGreaterThan(1);
});
