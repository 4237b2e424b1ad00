import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addSample,
  type Deviation,
  type DeviationLimits,
  type DriftVerdict,
  type Estimate,
  observe,
  startDeviation,
} from "../../src/drift/index.js";

const LIMITS: DeviationLimits = {
  detector: "threshold",
  changePercent: 20,
  changeAbsolute: 1,
  hysteresisPercent: 0,
  holdMs: 3_000,
};
const PAGE_HINKLEY: DeviationLimits = { ...LIMITS, detector: "pageHinkley" };
const HALF_LIFE_MS = 5_000;

/** Feeds one sample a second through smoothing and the deviation check; the verdict after each. */
function replay(
  baseline: number,
  samples: readonly number[],
  limits: DeviationLimits = LIMITS,
): DriftVerdict[] {
  let estimate: Estimate | undefined;
  let state: Deviation = startDeviation(baseline);
  return samples.map((value, second) => {
    const nowMs = second * 1_000;
    estimate = addSample(estimate, { value, atMs: nowMs }, HALF_LIFE_MS);
    const look = observe(state, { value: estimate.mean, nowMs }, limits);
    state = look.state;
    return look.verdict;
  });
}

const cost = fc.double({ min: 10, max: 1_000, noNaN: true });

describe("drift", () => {
  it("never sees drift in constant input", () => {
    fc.assert(
      fc.property(cost, fc.integer({ min: 1, max: 200 }), (value, seconds) => {
        const verdicts = replay(value, Array<number>(seconds).fill(value));
        expect(verdicts.every((verdict) => verdict.kind === "steady")).toBe(true);
      }),
    );
  });

  it("never sees drift in jitter within the threshold", () => {
    const jitter = fc.array(fc.double({ min: -0.19, max: 0.19, noNaN: true }), { maxLength: 200 });
    fc.assert(
      fc.property(cost, jitter, (value, deviations) => {
        const verdicts = replay(
          value,
          deviations.map((deviation) => value * (1 + deviation)),
        );
        expect(verdicts.every((verdict) => verdict.kind === "steady")).toBe(true);
      }),
    );
  });

  it("finds a lasting step within smoothing and hold time, in both directions", () => {
    const factor = fc.oneof(
      fc.double({ min: 1.5, max: 20, noNaN: true }),
      fc.double({ min: 0.05, max: 0.6, noNaN: true }),
    );
    fc.assert(
      fc.property(cost, factor, (value, stepFactor) => {
        const steps = Array<number>(30).fill(value * stepFactor);
        const verdicts = replay(value, [...Array<number>(30).fill(value), ...steps]);
        const found = verdicts.findIndex((verdict) => verdict.kind === "drifted") - 30;
        // Beyond 20 % of the old value after one half-life at the latest for steps of 50 % and more.
        expect(found).toBeGreaterThanOrEqual(0);
        expect(found).toBeLessThanOrEqual(HALF_LIFE_MS / 1_000 + LIMITS.holdMs / 1_000 + 1);
      }),
    );
  });

  it("starts the hold anew when the metric comes back in between", () => {
    let state = startDeviation(100);
    const at = (nowMs: number, value: number): DriftVerdict => {
      const look = observe(state, { value, nowMs }, LIMITS);
      state = look.state;
      return look.verdict;
    };
    expect(at(0, 150)).toEqual({ kind: "holding", readyAtMs: 3_000 });
    expect(at(2_000, 100)).toEqual({ kind: "steady" });
    expect(at(2_500, 150)).toEqual({ kind: "holding", readyAtMs: 5_500 });
    expect(at(5_500, 150)).toEqual({ kind: "drifted", before: 100, after: 150, heldMs: 3_000 });
  });

  it("ignores large percentages of tiny values", () => {
    const look = observe(startDeviation(0.2), { value: 0.9, nowMs: 0 }, { ...LIMITS, holdMs: 0 });
    expect(look.verdict.kind).toBe("steady");
  });
});

describe("hysteresis", () => {
  it("keeps a metric away until it has come back by its share of the threshold", () => {
    const limits = { ...LIMITS, hysteresisPercent: 50, holdMs: 0 };
    let state = startDeviation(100);
    const kinds = [115, 125, 115, 111, 109, 115].map((value, index) => {
      const look = observe(state, { value, nowMs: index * 1_000 }, limits);
      state = look.state;
      return look.verdict.kind;
    });
    expect(kinds).toEqual(["steady", "drifted", "drifted", "drifted", "steady", "steady"]);
  });
});

describe("Page-Hinkley", () => {
  it("never sees drift in constant input, nor in jitter within half the threshold", () => {
    const jitter = fc.array(fc.double({ min: -0.09, max: 0.09, noNaN: true }), { maxLength: 200 });
    fc.assert(
      fc.property(cost, jitter, (value, deviations) => {
        const samples = deviations.map((deviation) => value * (1 + deviation));
        const verdicts = replay(value, samples, PAGE_HINKLEY);
        expect(verdicts.every((verdict) => verdict.kind === "steady")).toBe(true);
      }),
    );
  });

  it("finds a small step that lasts, which a threshold does not", () => {
    const samples = Array<number>(40).fill(115);
    const drifted = (limits: DeviationLimits): boolean =>
      replay(100, samples, limits).some((verdict) => verdict.kind === "drifted");
    expect(drifted(LIMITS)).toBe(false);
    expect(drifted(PAGE_HINKLEY)).toBe(true);
  });

  it("finds a large step within smoothing and hold time", () => {
    fc.assert(
      fc.property(cost, fc.double({ min: 1.5, max: 20, noNaN: true }), (value, factor) => {
        const samples = Array<number>(30).fill(value * factor);
        const found = replay(value, samples, PAGE_HINKLEY).findIndex(
          (verdict) => verdict.kind === "drifted",
        );
        expect(found).toBeGreaterThan(0);
        expect(found).toBeLessThanOrEqual(HALF_LIFE_MS / 1_000 + LIMITS.holdMs / 1_000 + 1);
      }),
    );
  });
});

describe("addSample", () => {
  it("stays between the smallest and the largest sample, in whatever order they come", () => {
    const samples = fc.array(
      fc.record({ value: cost, atMs: fc.integer({ min: 0, max: 1_000_000 }) }),
      { minLength: 1, maxLength: 50 },
    );
    fc.assert(
      fc.property(samples, (list) => {
        let estimate: Estimate | undefined;
        for (const sample of list) estimate = addSample(estimate, sample, HALF_LIFE_MS);
        const values = list.map((sample) => sample.value);
        expect(estimate!.mean).toBeGreaterThanOrEqual(Math.min(...values) * (1 - 1e-12));
        expect(estimate!.mean).toBeLessThanOrEqual(Math.max(...values) * (1 + 1e-12));
        expect(estimate!.atMs).toBe(Math.max(...list.map((sample) => sample.atMs)));
      }),
    );
  });

  it("weighs a sample of one half-life ago half", () => {
    const old = addSample(undefined, { value: 10, atMs: 0 }, 1_000);
    expect(addSample(old, { value: 40, atMs: 1_000 }, 1_000).mean).toBeCloseTo(30, 12);
  });
});
