import { describe, expect, it } from "vitest";
import { LIVE_WORK_MS, BusyNodes } from "../../src/daemon/busy-nodes.js";
import { ManualClock } from "../support/manual-clock.js";

describe("live work on nodes", () => {
  it("is as reports have it, and ends by itself", () => {
    const clock = new ManualClock();
    const nodes = new BusyNodes(clock);
    expect(nodes.liveWork("gpu-1")).toBe("none");
    nodes.report("gpu-1", "some");
    expect(nodes.liveWork("gpu-1")).toBe("some");
    nodes.report("gpu-1", "overload");
    clock.advance(LIVE_WORK_MS / 2);
    // Another pipeline of the node has enough room, which does not help the first.
    nodes.report("gpu-1", "some");
    expect(nodes.liveWork("gpu-1")).toBe("overload");
    clock.advance(LIVE_WORK_MS / 2);
    expect(nodes.liveWork("gpu-1")).toBe("some");
    clock.advance(LIVE_WORK_MS / 2);
    expect(nodes.liveWork("gpu-1")).toBe("none");
    expect(nodes.liveWork("gpu-2")).toBe("none");
  });

  it("is told to agents now and then, not with each report", () => {
    const clock = new ManualClock();
    const nodes = new BusyNodes(clock);
    expect(nodes.takeTelling("gpu-1")).toBeUndefined();
    let told = 0;
    for (let passedMs = 0; passedMs < 10_000; passedMs += 100) {
      nodes.report("gpu-1", "some");
      if (nodes.takeTelling("gpu-1") === "some") told += 1;
      clock.advance(100);
    }
    expect(told).toBe(5);
    // What is new is told at once.
    nodes.report("gpu-1", "some");
    expect(nodes.takeTelling("gpu-1")).toBe("some");
    nodes.report("gpu-1", "overload");
    expect(nodes.takeTelling("gpu-1")).toBe("overload");
    expect(nodes.takeTelling("gpu-1")).toBeUndefined();
  });

  it("is remembered of a bounded number of nodes, the newest", () => {
    const nodes = new BusyNodes(new ManualClock());
    for (let index = 0; index <= 10_000; index += 1) nodes.report(`n-${index}`, "some");
    expect(nodes.liveWork("n-0")).toBe("none");
    expect(nodes.liveWork("n-10000")).toBe("some");
  });
});
