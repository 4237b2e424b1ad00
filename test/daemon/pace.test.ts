import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Pace } from "../../src/daemon/pace.js";

/** Passes of `costMs` one after the other, as soon as they may, for `forMs`; their starts. */
function storm(pace: Pace, costMs: number, forMs: number): number[] {
  const starts: number[] = [];
  for (let nowMs = 0; nowMs < forMs; ) {
    starts.push(nowMs);
    nowMs += costMs;
    nowMs += pace.afterPass(nowMs - costMs, nowMs);
  }
  return starts;
}

describe("the pace of planning", () => {
  it("lets a few passes begin at once, then twenty a second", () => {
    const starts = storm(new Pace(0), 0.5, 10_000);
    expect(starts[3]).toBeLessThan(5);
    expect(starts.length).toBeGreaterThan(100);
    expect(starts.length).toBeLessThan(220);
  });

  it("takes no more than its share of the time, and never waits for long", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 100, noNaN: true }), (costMs) => {
        const starts = storm(new Pace(0), costMs, 60_000);
        // Passes beyond the debt that is remembered wait for others, not for the processor.
        const bound = costMs <= 60 ? 0.22 : 0.3;
        expect((starts.length * costMs) / 60_000).toBeLessThan(bound);
      }),
    );
    expect(new Pace(0).afterPass(0, 60_000)).toBeLessThanOrEqual(500);
  });

  it("is fresh again after a quiet time", () => {
    const pace = new Pace(0);
    storm(pace, 5, 10_000);
    expect(pace.afterPass(20_000, 20_001)).toBe(0);
  });
});
