import fc from "fast-check";
import { Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { isAppError, seededRandom } from "../../src/core/index.js";
import { fromHalf, halfEncoder, infoOf, synthesise } from "../../src/inference/child-tensors.js";

function make(dtype: string, shape: number[], value?: number): Tensor {
  return synthesise({ name: "x", dtype, shape, value }, seededRandom(7));
}

describe("half precision", () => {
  const toHalf = halfEncoder();

  it("survives the way there and back, every one of its 65,536 patterns", () => {
    for (let bits = 0; bits < 65_536; bits++) {
      const value = fromHalf(bits);
      if (Number.isNaN(value)) expect(Number.isNaN(fromHalf(toHalf(value)))).toBe(true);
      else if (toHalf(value) !== bits) expect(toHalf(value)).toBe(bits);
    }
  });

  it("rounds to the nearest, ties to even", () => {
    expect(toHalf(1 + 2 ** -11)).toBe(toHalf(1));
    expect(toHalf(1 + 3 * 2 ** -11)).toBe(toHalf(1 + 2 ** -9));
    expect(fromHalf(toHalf(65_519))).toBe(65_504);
    expect(fromHalf(toHalf(65_520))).toBe(Infinity);
    expect(fromHalf(toHalf(2 ** -25))).toBe(0);
  });

  it("is never further from a number than half a step", () => {
    fc.assert(
      fc.property(fc.double({ min: -65_504, max: 65_504, noNaN: true }), (value) => {
        const step = Math.max(2 ** -24, 2 ** (Math.floor(Math.log2(Math.abs(value))) - 10));
        // One more binary32 rounding lies on the way.
        expect(Math.abs(fromHalf(toHalf(value)) - value)).toBeLessThanOrEqual(step * 0.5001);
      }),
    );
  });
});

describe("synthesise", () => {
  it("fills floats from the seed, uniform in [0, 1), and the same again", () => {
    const data = make("float32", [100, 100]).data as Float32Array;
    const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
    expect(mean).toBeGreaterThan(0.48);
    expect(mean).toBeLessThan(0.52);
    expect(Math.max(...data)).toBeLessThanOrEqual(1);
    expect(make("float32", [100, 100]).data).toEqual(data);
  });

  it("fills a range: floats between its ends, integers with both", () => {
    const inRange = (dtype: string, range: [number, number]): Tensor => {
      const spec = { name: "x", dtype, shape: [1_000], value: undefined, range };
      return synthesise(spec, seededRandom(7));
    };
    const floats = inRange("float32", [-2, 3]).data as Float32Array;
    expect(Math.min(...floats)).toBeGreaterThanOrEqual(-2);
    expect(Math.min(...floats)).toBeLessThan(-1.9);
    expect(Math.max(...floats)).toBeGreaterThan(2.9);
    expect(new Set(inRange("int64", [5, 7]).data as BigInt64Array)).toEqual(new Set([5n, 6n, 7n]));
    expect(new Set(inRange("uint8", [0, 255]).data as Uint8Array).size).toBeGreaterThan(200);
  });

  it.each([
    ["uint8", [0, 256], "256"],
    ["int32", [0.5, 2], "0.5"],
    ["float32", [2, 1], "least"],
  ] as const)("refuses for %s the range %j", (dtype, range, text) => {
    const spec = { name: "x", dtype, shape: [2], value: undefined, range };
    expect(() => synthesise(spec, seededRandom(7))).toThrow(text);
  });

  it.each([
    ["int64", 1n],
    ["uint64", 1n],
    ["int32", 1],
    ["uint8", 1],
    ["bool", 1],
    ["string", "1"],
  ])("fills %s with one", (dtype, one) => {
    expect(Array.from(make(dtype, [2]).data as ArrayLike<unknown>)).toEqual([one, one]);
  });

  it("fills with the value that is given", () => {
    expect(Array.from(make("int64", [2], 16_000).data as BigInt64Array)).toEqual([
      16_000n,
      16_000n,
    ]);
    expect(Array.from(make("bool", [1], 0).data as Uint8Array)).toEqual([0]);
    const half = make("float16", [1], 0.5).data as ArrayLike<number>;
    // Node 24 has a Float16Array; before it, the bits are what there is.
    expect(half instanceof Uint16Array ? fromHalf(half[0]!) : half[0]).toBe(0.5);
  });

  it("makes scalars and empty tensors", () => {
    expect(infoOf("x", make("float32", []))).toEqual({
      name: "x",
      dtype: "float32",
      shape: [],
      bytes: 4,
    });
    expect(infoOf("x", make("float64", [0, 4])).bytes).toBe(0);
    expect(infoOf("x", make("float16", [3])).bytes).toBe(6);
    expect(infoOf("x", new Tensor("string", ["é", "a"], [2])).bytes).toBe(3);
  });

  it.each([
    { dtype: "uint8", shape: [1], value: 256, code: "MODEL_INPUT_INVALID" },
    { dtype: "int64", shape: [1], value: 0.5, code: "MODEL_INPUT_INVALID" },
    { dtype: "float32", shape: [1e6, 1e6], value: 0, code: "MODEL_INPUT_INVALID" },
    { dtype: "bfloat16", shape: [1], value: 1, code: "MODEL_UNSUPPORTED" },
    { dtype: "toString", shape: [1], value: 1, code: "MODEL_UNSUPPORTED" },
  ] as const)("refuses $dtype$shape filled with $value", ({ dtype, shape, value, code }) => {
    try {
      make(dtype, [...shape], value);
    } catch (error) {
      expect(isAppError(error, code)).toBe(true);
      return;
    }
    expect.unreachable();
  });
});
