import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  driftOptionsSchema,
  latencyAt,
  type LinkSample,
  linkKey,
  MOMENTS_MAX,
  type Moment,
  momentsOf,
  outlookOf,
  withSample,
} from "../../src/drift/index.js";
import type { RankedPlan } from "../../src/planner/index.js";

const OPTIONS = driftOptionsSchema.parse({});
const latency = fc.double({ min: 0, max: 1e6, noNaN: true });

describe("outlookOf", () => {
  it("is exactly what constant samples are", () => {
    fc.assert(
      fc.property(latency, fc.integer({ min: 1, max: 64 }), (latencyMs, count) => {
        const samples = Array.from({ length: count }, (_, index) => ({ atMs: index, latencyMs }));
        expect(outlookOf(samples, OPTIONS)).toEqual({ newestMs: latencyMs, expectedMs: latencyMs });
      }),
    );
  });

  it("lies between the smallest and the largest sample", () => {
    fc.assert(
      fc.property(fc.array(latency, { minLength: 1, maxLength: 64 }), (values) => {
        const samples = values.map((latencyMs, index) => ({ atMs: index * 1_000, latencyMs }));
        const { expectedMs } = outlookOf(samples, OPTIONS)!;
        expect(expectedMs).toBeGreaterThanOrEqual(Math.min(...values) - 1e-6);
        expect(expectedMs).toBeLessThanOrEqual(Math.max(...values) + 1e-6);
      }),
    );
  });

  it("weighs a sample of one half-life ago half, beside the newest one's share", () => {
    const samples = [
      { atMs: 0, latencyMs: 10 },
      { atMs: 1_000, latencyMs: 40 },
    ];
    const weighing = { smoothingHalfLifeSeconds: 1, newestSamplePercent: 50 };
    // 0.5 × 40 + 0.5 × (10 + 2 × 40) / 3
    expect(outlookOf(samples, weighing)?.expectedMs).toBeCloseTo(35, 12);
  });

  it("is null where the plan cannot run now, and forgets when it could not", () => {
    const up = { atMs: 1, latencyMs: 10 };
    const never = { atMs: 0, latencyMs: Number.POSITIVE_INFINITY };
    expect(outlookOf([], OPTIONS)).toBeNull();
    expect(outlookOf([up, { ...never, atMs: 2 }], OPTIONS)).toBeNull();
    expect(outlookOf([never, up], OPTIONS)?.expectedMs).toBe(10);
  });
});

describe("latencyAt", () => {
  const plan: Pick<RankedPlan, "partitions" | "hops"> = {
    partitions: [
      {
        node: "cam",
        tier: "device",
        firstBlock: 0,
        lastBlock: 0,
        firstLayer: 0,
        lastLayer: 0,
        computeMs: 100,
      },
      {
        node: "gpu",
        tier: "cloud",
        firstBlock: 1,
        lastBlock: 1,
        firstLayer: 1,
        lastLayer: 1,
        computeMs: 20,
      },
    ],
    hops: [{ from: "cam", to: "gpu", bytes: 100_000, transferMs: 0 }],
  };
  const terms = { costModel: { rttFactor: 1, returnResult: false }, worstMs: 1_500 };
  const at = (bandwidthMbps: number): Moment => ({
    atMs: 0,
    links: new Map([[linkKey({ from: "cam", to: "gpu" }), { rttMs: 30, bandwidthMbps }]]),
  });

  it("adds up computing, round trip and bits", () => {
    expect(latencyAt(plan, at(8), terms)).toBeCloseTo(100 + 20 + 30 + 100, 9);
  });

  it("never exceeds falling back: in an outage, on a crawl, without the link", () => {
    expect(latencyAt(plan, at(0), terms)).toBe(1_500);
    expect(latencyAt(plan, at(0.001), terms)).toBe(1_500);
    expect(latencyAt(plan, { atMs: 0, links: new Map() }, terms)).toBe(1_500);
  });
});

describe("the history of a link", () => {
  const sample = (atMs: number, bandwidthMbps = 1): LinkSample => ({
    atMs,
    rttMs: 1,
    bandwidthMbps,
  });
  const history = (samples: readonly LinkSample[]): readonly LinkSample[] =>
    samples.reduce<readonly LinkSample[]>((all, one) => withSample(all, one), []);

  it("is bounded, in order, and ends with the newest sample, whatever comes in whatever order", () => {
    const times = fc.array(fc.integer({ min: 0, max: 1_000_000 }), {
      minLength: 1,
      maxLength: 300,
    });
    fc.assert(
      fc.property(times, (list) => {
        const kept = history(list.map((atMs) => sample(atMs))).map(({ atMs }) => atMs);
        expect(kept.length).toBeLessThanOrEqual(MOMENTS_MAX);
        expect(kept).toEqual([...kept].sort((a, b) => a - b));
        expect(kept.at(-1)).toBe(Math.max(...list));
      }),
    );
  });

  it("is in order and thinned from the front, as if it were done anew for every sample", () => {
    const anew = (samples: readonly LinkSample[], one: LinkSample): LinkSample[] => {
      const others = samples.filter(({ atMs }) => atMs !== one.atMs);
      const kept: LinkSample[] = [];
      for (const item of [...others, one].sort((a, b) => a.atMs - b.atMs)) {
        const [before, last] = kept.slice(-2);
        if (before !== undefined && last !== undefined && last.atMs - before.atMs < 250) kept.pop();
        kept.push(item);
      }
      return kept.slice(-MOMENTS_MAX);
    };
    const spread = fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(spread, (list) => {
        const samples = list.map((atMs, index) => sample(atMs, index));
        expect(history(samples)).toEqual(samples.reduce(anew, []));
      }),
    );
  });

  it("does not lose the minute before to a flood", () => {
    const calm = Array.from({ length: 30 }, (_, second) => sample(second * 1_000, 8));
    const flood = Array.from({ length: 10_000 }, (_, index) => sample(30_000 + index / 10, 0.1));
    const kept = history([...calm, ...flood]);
    expect(kept.filter(({ bandwidthMbps }) => bandwidthMbps === 8)).toHaveLength(30);
    expect(kept.at(-1)?.bandwidthMbps).toBe(0.1);
  });

  it("gives every moment the newest sample of each link", () => {
    const [cam, gpu] = [
      { from: "cam", to: "edge", samples: [sample(0, 1), sample(2_000, 3)] },
      { from: "edge", to: "gpu", samples: [sample(1_000, 2)] },
    ];
    const moments = momentsOf([cam, gpu]);
    const rates = moments.map(({ atMs, links }) => [
      atMs,
      links.get(linkKey(cam))?.bandwidthMbps,
      links.get(linkKey(gpu))?.bandwidthMbps,
    ]);
    expect(rates).toEqual([
      [0, 1, 2],
      [1_000, 1, 2],
      [2_000, 3, 2],
    ]);
  });
});
