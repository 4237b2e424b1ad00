import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/core/index.js";
import { agreesWithEarlier, isStable, medianInterval } from "../../src/inference/stability.js";

const TARGET = { relativeHalfWidth: 0.03, confidence: 0.9, negligibleMs: 0, repeatsMax: 50 };

describe("medianInterval", () => {
  it("needs five samples for 90 %, six for 95 %, and then spans them all", () => {
    expect(medianInterval([1, 2, 3, 4], 0.9)).toBeUndefined();
    expect(medianInterval([1, 2, 3, 4, 5], 0.9)).toEqual({ lowMs: 1, highMs: 5 });
    expect(medianInterval([1, 2, 3, 4, 5], 0.95)).toBeUndefined();
    expect(medianInterval([1, 2, 3, 4, 5, 6], 0.95)).toEqual({ lowMs: 1, highMs: 6 });
  });

  it("takes the ranks of the published tables", () => {
    // 95 %: n = 20 → 6th to 15th, n = 50 → 18th to 33rd (Conover, Practical Nonparametric Statistics).
    const upTo = (count: number): number[] =>
      Array.from({ length: count }, (_, index) => index + 1);
    expect(medianInterval(upTo(20), 0.95)).toEqual({ lowMs: 6, highMs: 15 });
    expect(medianInterval(upTo(50), 0.95)).toEqual({ lowMs: 18, highMs: 33 });
  });

  it("narrows with more samples, without a break where the approximation begins", () => {
    const width = (count: number): number => {
      const sorted = Array.from({ length: count }, (_, index) => (index + 1) / count);
      const interval = medianInterval(sorted, 0.95)!;
      return interval.highMs - interval.lowMs;
    };
    expect(width(1_000)).toBeLessThan(width(100));
    expect(Math.abs(width(1_001) - width(1_000))).toBeLessThan(0.005);
  });

  it("holds the true median as often as it says, whatever the distribution", () => {
    const random = seededRandom(11);
    const trials = 2_000;
    let held = 0;
    for (let trial = 0; trial < trials; trial++) {
      const samples = Array.from({ length: 15 }, () => -Math.log(1 - random()));
      const interval = medianInterval(
        samples.sort((a, b) => a - b),
        0.9,
      )!;
      if (interval.lowMs <= Math.LN2 && Math.LN2 <= interval.highMs) held++;
    }
    expect(held / trials).toBeGreaterThan(0.9);
  });
});

describe("isStable", () => {
  it("is not misled by a few lucky samples", () => {
    expect(isStable([10, 10, 10, 10], TARGET)).toBe(false);
    expect(isStable([10, 10, 10, 10, 10], TARGET)).toBe(true);
    expect(isStable([10, 10, 10, 10, 11], TARGET)).toBe(false);
  });

  it("outgrows outliers", () => {
    const samples = [...Array.from({ length: 20 }, () => 10), 50, 80, 100];
    expect(isStable(samples, TARGET)).toBe(true);
  });

  it("stops early where being wrong does not matter", () => {
    expect(isStable([0.1, 0.3, 0.2], { ...TARGET, negligibleMs: 0.3 })).toBe(true);
    expect(isStable([0.1, 0.4, 0.2], { ...TARGET, negligibleMs: 0.3 })).toBe(false);
    expect(isStable([10, 10, 10, 10, 11], { ...TARGET, negligibleMs: 0.6 })).toBe(true);
  });

  it("does not depend on the order of samples", () => {
    const samples = fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(samples, (values) => {
        expect(isStable(values.toReversed(), TARGET)).toBe(isStable(values, TARGET));
      }),
    );
  });
});

describe("agreesWithEarlier", () => {
  const target = { ...TARGET, earlier: { timeMs: 100, relativeHalfWidth: 0.03 } };

  it("wants the median of the runs, be it one, as near as asked", () => {
    expect(agreesWithEarlier([103], target)).toBe(true);
    expect(agreesWithEarlier([104], target)).toBe(false);
    expect(agreesWithEarlier([96, 104], target)).toBe(true);
    expect(agreesWithEarlier([103, 105], target)).toBe(false);
    expect(agreesWithEarlier([150, 101, 98], target)).toBe(true);
  });

  it("agrees with nothing where nothing was measured", () => {
    expect(agreesWithEarlier([100, 100], TARGET)).toBe(false);
    expect(agreesWithEarlier([100, 100], undefined)).toBe(false);
    expect(agreesWithEarlier([], target)).toBe(false);
  });
});
