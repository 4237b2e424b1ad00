import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { calibrate, largestErrorPercent, middleOf } from "../../src/benchmark/calibrate.js";

describe("calibrate", () => {
  it("recovers times to which each cut added in proportion to its bytes, and each call the same", () => {
    const truth = [4, 6, 10];
    const cutBytes = [2_000, 1_000];
    const blocks = truth.map((timeMs, index) => {
      const cutBytesIn = cutBytes[index - 1] ?? 0;
      const cutBytesOut = cutBytes[index] ?? 0;
      return { rawMs: timeMs + 0.1 + 0.0005 * (cutBytesIn + cutBytesOut), cutBytesIn, cutBytesOut };
    });
    const { blockMs, calibration } = calibrate(blocks, { wholeMs: 20, callOverheadMs: 0.1 });
    for (const [index, timeMs] of truth.entries()) expect(blockMs[index]).toBeCloseTo(timeMs, 9);
    expect(calibration.msPerCutByte).toBeCloseTo(0.0005, 9);
    expect(calibration.factor).toBeCloseTo(1, 9);
    expect(calibration.rawSumMs).toBeCloseTo(23.3, 9);
  });

  it("sums to the whole, with no block below zero, whatever was measured", () => {
    const block = fc.record({
      rawMs: fc.double({ min: 0, max: 1e4, noNaN: true }),
      cutBytesIn: fc.nat(1e8),
      cutBytesOut: fc.nat(1e8),
    });
    const reference = fc.record({
      wholeMs: fc.double({ min: 1e-3, max: 1e5, noNaN: true }),
      callOverheadMs: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(block, { minLength: 1, maxLength: 50 }), reference, (blocks, known) => {
        const { blockMs, calibration } = calibrate(blocks, known);
        const total = blockMs.reduce((sum, timeMs) => sum + timeMs, 0);
        expect(Math.abs(total - known.wholeMs)).toBeLessThanOrEqual(1e-9 * known.wholeMs);
        for (const timeMs of blockMs) expect(timeMs).toBeGreaterThanOrEqual(0);
        expect(calibration.factor).toBeGreaterThan(0);
      }),
    );
  });

  it("shares a whole out evenly where no block took any time", () => {
    const nothing = { rawMs: 0, cutBytesIn: 0, cutBytesOut: 0 };
    const { blockMs } = calibrate([nothing, nothing], { wholeMs: 3, callOverheadMs: 0 });
    expect(blockMs).toEqual([1.5, 1.5]);
  });
});

describe("middleOf", () => {
  it.each([
    [[5], 0],
    [[5, 5], 1],
    [[1, 1, 1, 9], 3],
    [[9, 1, 1, 1], 1],
    [[2, 2, 2, 2], 2],
  ])("%j is halved after %i blocks", (blockMs, count) => {
    expect(middleOf(blockMs)).toBe(count);
  });
});

describe("largestErrorPercent", () => {
  it("is relative to what was measured, and null without a measurement", () => {
    const pairs = [
      { predictedMs: 11, measuredMs: 10 },
      { predictedMs: 8, measuredMs: 10 },
      { predictedMs: 8, measuredMs: 0 },
    ];
    expect(largestErrorPercent(pairs)).toBeCloseTo(20);
    expect(largestErrorPercent([{ predictedMs: 1, measuredMs: 0 }])).toBeNull();
  });
});
