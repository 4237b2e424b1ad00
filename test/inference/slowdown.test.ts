import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { slowdownOf } from "../../src/inference/slowdown.js";

const yardstickMs = fc.double({ min: 0.05, max: 0.2, noNaN: true });
const factors = fc.double({ min: 1.001, max: 2, noNaN: true });

describe("slowdownOf", () => {
  it("is one at the usual speed", () => {
    fc.assert(fc.property(yardstickMs, (usualMs) => slowdownOf(usualMs, usualMs) === 1));
  });

  it("grows with what the yardstick takes longer, but less", () => {
    fc.assert(
      fc.property(yardstickMs, factors, (usualMs, factor) => {
        const slowdown = slowdownOf(factor * usualMs, usualMs);
        expect(slowdown).toBeGreaterThan(1);
        expect(slowdown).toBeLessThan(factor);
      }),
    );
  });

  it("is one of several in a row, whatever the usual speed", () => {
    fc.assert(
      fc.property(yardstickMs, yardstickMs, yardstickMs, (a, b, c) => {
        expect(slowdownOf(a, b) * slowdownOf(b, c)).toBeCloseTo(slowdownOf(a, c), 9);
      }),
    );
  });

  it("believes no reading that is absurd", () => {
    expect(slowdownOf(1e4, 0.1)).toBe(4);
    expect(slowdownOf(1e-6, 0.1)).toBe(1 / 4);
  });
});
