import { constants, PerformanceObserver } from "node:perf_hooks";
import { describe, expect, it } from "vitest";
import { collectGarbageEarly } from "../../src/cli/quiet-garbage.js";
import { until } from "../support/poll.js";

interface Collection {
  detail: { kind: number; flags: number };
}

describe("young garbage", () => {
  it("is collected by the clock, before its room is full, and the old is let be", async () => {
    const asked: number[] = [];
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { kind, flags } = (entry as unknown as Collection).detail;
        if ((flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0) asked.push(kind);
      }
    });
    observer.observe({ entryTypes: ["gc"] });
    const stop = collectGarbageEarly();
    let garbage: number[] = [];
    await until(() => {
      garbage = Array.from({ length: 10_000 }, (_, index) => index);
      return asked.length > 1;
    });
    stop();
    observer.disconnect();
    expect(garbage).toHaveLength(10_000);
    expect(new Set(asked)).toEqual(new Set([constants.NODE_PERFORMANCE_GC_MINOR]));
  });
});
