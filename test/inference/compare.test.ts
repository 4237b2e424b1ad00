import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ComparedTensor, compareTensors, worstOf } from "../../src/inference/compare.js";

const TOLERANCE = 1e-4;

function floats(...numbers: number[]): ComparedTensor {
  return { dtype: "float32", shape: [numbers.length], data: new Float32Array(numbers) };
}

describe("compareTensors", () => {
  it("finds equal tensors equal, NaN and infinities included", () => {
    const tensor = floats(1, NaN, Infinity, -Infinity, -0);
    expect(compareTensors(tensor, floats(1, NaN, Infinity, -Infinity, 0), TOLERANCE)).toEqual({
      maxAbsoluteError: 0,
      maxRelativeError: 0,
      ok: true,
    });
  });

  it("measures errors against the largest magnitude, so that small elements may differ more", () => {
    const compared = compareTensors(floats(1000, 0.001), floats(1000, 0.05), TOLERANCE);
    expect(compared.ok).toBe(true);
    expect(compared.maxAbsoluteError).toBeCloseTo(0.049, 5);
    expect(compared.maxRelativeError).toBeCloseTo(4.9e-5, 7);
  });

  it.each([
    ["a value beyond the tolerance", floats(1, 2), floats(1, 2.001)],
    ["anything where zeros are expected", floats(0, 0), floats(0, 1e-20)],
    ["NaN where there is a number", floats(1, 2), floats(1, NaN)],
    ["a number where there is NaN", floats(1, NaN), floats(1, 2)],
    ["the other infinity", floats(Infinity), floats(-Infinity)],
    ["elements in another order", floats(1, 2, 3), floats(3, 2, 1)],
    ["another shape", floats(1, 2), { ...floats(1, 2), shape: [2, 1] }],
    ["another type", floats(1, 2), { ...floats(1, 2), dtype: "float64" }],
    ["fewer elements", floats(1, 2), { ...floats(1), shape: [2] }],
    [
      "an integer off by one",
      { dtype: "int64", shape: [1], data: new BigInt64Array([10_000_000n]) },
      { dtype: "int64", shape: [1], data: new BigInt64Array([10_000_001n]) },
    ],
    [
      "another text",
      { dtype: "string", shape: [1], data: ["a"] },
      { dtype: "string", shape: [1], data: ["b"] },
    ],
  ])("refuses %s", (_, expected, actual) => {
    const compared = compareTensors(expected, actual, TOLERANCE);
    expect(compared.ok).toBe(false);
    expect(Number.isFinite(compared.maxAbsoluteError)).toBe(true);
    expect(Number.isFinite(compared.maxRelativeError)).toBe(true);
  });

  it("allows half precision its coarser last bits, and no more", () => {
    const half = (value: number): ComparedTensor => ({ ...floats(value), dtype: "float16" });
    expect(compareTensors(half(1), half(1.002), TOLERANCE).ok).toBe(true);
    expect(compareTensors(half(1), half(1.02), TOLERANCE).ok).toBe(false);
  });

  it("accepts what is within the tolerance of the largest magnitude and nothing else", () => {
    const element = fc.double({ min: -1e6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(element, element), { minLength: 1 }), (pairs) => {
        const expected = pairs.map(([a]) => a);
        const actual = pairs.map(([, b]) => b);
        const magnitude = Math.max(...expected.map(Math.abs));
        const error = Math.max(...pairs.map(([a, b]) => Math.abs(a - b)));
        const compared = compareTensors(
          { dtype: "float64", shape: [pairs.length], data: expected },
          { dtype: "float64", shape: [pairs.length], data: actual },
          TOLERANCE,
        );
        expect(compared.maxAbsoluteError).toBe(error);
        expect(compared.ok).toBe(error === 0 || error / magnitude <= TOLERANCE);
      }),
    );
  });
});

describe("worstOf", () => {
  it("takes the largest errors and fails when one fails", () => {
    const good = { maxAbsoluteError: 5, maxRelativeError: 0.1, ok: true };
    const bad = { maxAbsoluteError: 1, maxRelativeError: 0.9, ok: false };
    expect(worstOf([good, bad])).toEqual({ maxAbsoluteError: 5, maxRelativeError: 0.9, ok: false });
    expect(worstOf([])).toEqual({ maxAbsoluteError: 0, maxRelativeError: 0, ok: true });
  });
});
