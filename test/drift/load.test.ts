import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  LOAD_FACTOR_MAX,
  LOAD_HALF_LIFE_MS,
  loadAt,
  type NodeLoad,
  observeLoad,
  passiveMbps,
  relieved,
  slowdownAt,
  unexplainedBy,
} from "../../src/drift/index.js";

const share = fc.double({ min: 0, max: 20, noNaN: true });

/** One report a second, from second `fromSecond`. */
function report(
  utilisations: readonly number[],
  {
    state,
    fromSecond = 0,
    isBusy = false,
  }: { state?: NodeLoad; fromSecond?: number; isBusy?: boolean } = {},
): NodeLoad {
  let load = state;
  for (const [index, utilisation] of utilisations.entries()) {
    load = observeLoad(load, { utilisation, isBusy, nowMs: (fromSecond + index) * 1_000 });
  }
  return load!;
}

describe("slowdownAt", () => {
  it("is processor sharing: nothing when idle, twice at a half, ten times at 90 %", () => {
    expect([0, 0.5, 0.75, 0.9].map(slowdownAt)).toEqual([1, 2, 4, expect.closeTo(10, 9)]);
  });

  it("grows with the load and is bounded", () => {
    fc.assert(
      fc.property(share, share, (one, other) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        expect(slowdownAt(less)).toBeGreaterThanOrEqual(1);
        expect(slowdownAt(more)).toBeGreaterThanOrEqual(slowdownAt(less));
        expect(slowdownAt(more)).toBeLessThanOrEqual(LOAD_FACTOR_MAX);
        // Two nodes that are asked for too much are still told apart.
        if (more < 9 && more - less > 0.01)
          expect(slowdownAt(more)).toBeGreaterThan(slowdownAt(less));
      }),
    );
  });
});

describe("what no plan explains of a stage's time", () => {
  const stage = { measuredMs: 100, predictedMs: 100, own: 0, others: 0 };

  it("is nothing as long as it is no slower than profiles are wrong", () => {
    expect(unexplainedBy(stage)).toBe(0);
    expect(unexplainedBy({ ...stage, measuredMs: 120 })).toBe(0);
    expect(unexplainedBy({ ...stage, measuredMs: 50 })).toBe(0);
    expect(unexplainedBy({ ...stage, predictedMs: 0.01, measuredMs: 2 })).toBe(0);
  });

  it("is what makes an idle node so slow", () => {
    const utilisation = unexplainedBy({ ...stage, measuredMs: 482 });
    expect(slowdownAt(utilisation)).toBeCloseTo(4, 9);
    const worse = unexplainedBy({ ...stage, measuredMs: 12_002 });
    expect(slowdownAt(worse)).toBeCloseTo(100, 9);
  });

  it("leaves out what the own requests and other pipelines explain", () => {
    // Half busy with itself: twice as slow is no surprise.
    expect(unexplainedBy({ ...stage, measuredMs: 240, own: 0.5 })).toBe(0);
    expect(unexplainedBy({ ...stage, measuredMs: 240, others: 0.5 })).toBe(0);
    expect(unexplainedBy({ ...stage, measuredMs: 482, others: 0.5 })).toBeCloseTo(0.25, 9);
  });

  it("is bounded, whatever is reported", () => {
    const ms = fc.double({ min: 0, max: 86_400_000, noNaN: true });
    const positive = fc.double({ min: 1e-9, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(
        fc.record({ measuredMs: ms, predictedMs: positive, own: share, others: share }),
        (one) => {
          const utilisation = unexplainedBy(one);
          expect(utilisation).toBeGreaterThanOrEqual(0);
          expect(slowdownAt(utilisation)).toBeLessThanOrEqual(LOAD_FACTOR_MAX);
        },
      ),
    );
  });
});

describe("the load of a node", () => {
  it("is not raised by a single report, and is by the second", () => {
    expect(loadAt(report([0.8]), 0)).toBe(0);
    expect(loadAt(report([0.8, 0.8]), 1_000)).toBeGreaterThan(0.4);
    expect(loadAt(report([0, 0, 0.8, 0, 0]), 4_000)).toBe(0);
  });

  it("stays exactly 0 under reports of an idle node", () => {
    expect(loadAt(report(Array<number>(100).fill(0)), 99_000)).toBe(0);
  });

  it("ages out: all of it for a half-life, half of it after the next, nothing in the end", () => {
    const load = report(Array<number>(60).fill(0.8));
    const fresh = loadAt(load, 59_000);
    expect(fresh).toBeCloseTo(0.8, 2);
    expect(loadAt(load, 59_000 + LOAD_HALF_LIFE_MS)).toBe(fresh);
    expect(loadAt(load, 59_000 + 2 * LOAD_HALF_LIFE_MS)).toBeCloseTo(fresh / 2, 9);
    expect(loadAt(load, 59_000 + 20 * LOAD_HALF_LIFE_MS)).toBe(0);
  });

  it("falls within seconds when reports say so", () => {
    const load = report(Array<number>(30).fill(0), {
      state: report(Array<number>(30).fill(0.8)),
      fromSecond: 30,
    });
    expect(loadAt(load, 59_000)).toBeLessThan(0.05);
  });

  it("is at least a factor of four while the node is busy, for a bounded time", () => {
    const busy = report([0], { isBusy: true });
    expect(slowdownAt(loadAt(busy, 0))).toBeGreaterThanOrEqual(4);
    expect(slowdownAt(loadAt(busy, 29_000))).toBeGreaterThanOrEqual(4);
    expect(loadAt(busy, 31_000)).toBe(0);
    expect(loadAt(report([0], { state: busy, fromSecond: 1 }), 1_000)).toBe(0);
  });

  it("is remembered longer each time it comes back, and as at first after a long calm", () => {
    let load = report(Array<number>(5).fill(0.8));
    const halfLives = [load.halfLifeMs];
    let second = 5;
    for (let round = 0; round < 8; round += 1) {
      second += load.halfLifeMs / 1_000;
      load = report(Array<number>(5).fill(0.8), { state: load, fromSecond: second });
      second += 5;
      halfLives.push(load.halfLifeMs);
    }
    expect(halfLives.slice(0, 4)).toEqual([60_000, 120_000, 240_000, 480_000]);
    expect(Math.max(...halfLives)).toBe(3_600_000);
    const later = second + 40_000;
    load = report(Array<number>(5).fill(0.8), { state: load, fromSecond: later });
    expect(load.halfLifeMs).toBe(LOAD_HALF_LIFE_MS);
  });

  it("falls with each pipeline that leaves, but not with the only one", () => {
    const load = report(Array<number>(60).fill(0.8));
    expect(loadAt(relieved(load, 4), 59_000)).toBeCloseTo(0.6, 2);
    expect(relieved(load, 1)).toBe(load);
  });

  it("is bounded and finite, whatever comes in whatever order", () => {
    const reports = fc.array(
      fc.record({
        utilisation: fc.double({ min: 0, max: 0.95, noNaN: true }),
        isBusy: fc.boolean(),
        nowMs: fc.integer({ min: 0, max: 100_000_000 }),
      }),
      { minLength: 1, maxLength: 50 },
    );
    fc.assert(
      fc.property(reports, fc.integer({ min: 0, max: 200_000_000 }), (list, nowMs) => {
        let load: NodeLoad | undefined;
        for (const one of list) load = observeLoad(load, one);
        const utilisation = loadAt(load!, nowMs);
        expect(utilisation).toBeGreaterThanOrEqual(0);
        expect(utilisation).toBeLessThanOrEqual(0.95);
      }),
    );
  });
});

describe("passiveMbps", () => {
  it("is what the transfer shows, without the time that the first bit needs", () => {
    // 1 MB at 8 Mbps takes 1 s; half of a round trip of 100 ms comes before it.
    expect(passiveMbps({ bytes: 1_000_000, transferMs: 1_050 }, 100)).toBeCloseTo(8, 9);
  });

  it("is within 12 % also where the time includes an acknowledgement", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.5, max: 200, noNaN: true }),
        fc.double({ min: 0, max: 300, noNaN: true }),
        fc.integer({ min: 1, max: 100_000_000 }),
        (mbps, rttMs, bytes) => {
          const serialMs = (bytes * 8) / 1_000 / mbps;
          for (const waitMs of [rttMs / 2, rttMs]) {
            const seen = passiveMbps({ bytes, transferMs: serialMs + waitMs }, rttMs);
            if (seen !== undefined) expect(Math.abs(seen / mbps - 1)).toBeLessThan(0.12);
          }
        },
      ),
    );
  });

  it("says nothing of transfers that the round trip dominates, nor of none", () => {
    expect(passiveMbps({ bytes: 10_000, transferMs: 110 }, 100)).toBeUndefined();
    expect(passiveMbps({ bytes: 1_000, transferMs: 1 }, 0.1)).toBeUndefined();
    expect(passiveMbps({ bytes: 0, transferMs: 1_000 }, 1)).toBeUndefined();
    expect(passiveMbps({ bytes: 1_000, transferMs: 0 }, 0)).toBeUndefined();
  });
});
