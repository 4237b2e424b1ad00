import { describe, expect, it } from "vitest";
import { LIVE_WORK_MS, BusyHosts } from "../../src/daemon/busy-hosts.js";
import { ManualClock } from "../support/manual-clock.js";

describe("live work on machines", () => {
  it("is as reports have it, and ends by itself", () => {
    const clock = new ManualClock();
    const hosts = new BusyHosts(clock);
    expect(hosts.liveWork("gpu-1")).toBe("none");
    hosts.report("gpu-1", "some");
    expect(hosts.liveWork("gpu-1")).toBe("some");
    hosts.report("gpu-1", "overload");
    clock.advance(LIVE_WORK_MS / 2);
    // Another pipeline of the node has enough room, which does not help the first.
    hosts.report("gpu-1", "some");
    expect(hosts.liveWork("gpu-1")).toBe("overload");
    clock.advance(LIVE_WORK_MS / 2);
    expect(hosts.liveWork("gpu-1")).toBe("some");
    clock.advance(LIVE_WORK_MS / 2);
    expect(hosts.liveWork("gpu-1")).toBe("none");
    expect(hosts.liveWork("gpu-2")).toBe("none");
  });

  it("is told to agents now and then, not with each report", () => {
    const clock = new ManualClock();
    const hosts = new BusyHosts(clock);
    expect(hosts.takeTelling("gpu-1", "gpu-1")).toBeUndefined();
    let told = 0;
    for (let passedMs = 0; passedMs < 10_000; passedMs += 100) {
      hosts.report("gpu-1", "some");
      if (hosts.takeTelling("gpu-1", "gpu-1") === "some") told += 1;
      clock.advance(100);
    }
    expect(told).toBe(5);
    // What is new is told at once.
    hosts.report("gpu-1", "some");
    expect(hosts.takeTelling("gpu-1", "gpu-1")).toBe("some");
    hosts.report("gpu-1", "overload");
    expect(hosts.takeTelling("gpu-1", "gpu-1")).toBe("overload");
    expect(hosts.takeTelling("gpu-1", "gpu-1")).toBeUndefined();
  });

  it("is told to each node of the machine", () => {
    const hosts = new BusyHosts(new ManualClock());
    hosts.report("machine", "overload");
    expect(hosts.takeTelling("cam-1", "machine")).toBe("overload");
    expect(hosts.takeTelling("gpu-1", "machine")).toBe("overload");
    expect(hosts.takeTelling("gpu-1", "machine")).toBeUndefined();
    expect(hosts.takeTelling("far-1", "another machine")).toBeUndefined();
  });

  it("is remembered of a bounded number of them, the newest", () => {
    const hosts = new BusyHosts(new ManualClock());
    for (let index = 0; index <= 10_000; index += 1) hosts.report(`n-${index}`, "some");
    expect(hosts.liveWork("n-0")).toBe("none");
    expect(hosts.liveWork("n-10000")).toBe("some");
  });
});
