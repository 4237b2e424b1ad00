import { Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { compareOutputs } from "../../src/inference/child-compare.js";
import type { Tensors } from "../../src/inference/child-tensors.js";

function tensors(entries: Record<string, number[]>): Tensors {
  return new Map(
    Object.entries(entries).map(([name, data]) => [
      name,
      new Tensor("float32", new Float32Array(data), [data.length]),
    ]),
  );
}

describe("compareOutputs: would a wrong split be noticed?", () => {
  const whole = tensors({ boxes: [0.1, 0.2, 0.3], scores: [0.9, 0.8] });

  it("accepts the same outputs among other tensors of the chain", () => {
    const chained = tensors({ boxes: [0.1, 0.2, 0.3], scores: [0.9, 0.8], inner: [7] });
    expect(compareOutputs(whole, chained, 1e-4).ok).toBe(true);
  });

  it.each([
    ["one element of one output is off", { boxes: [0.1, 0.2, 0.3], scores: [0.9, 0.81] }],
    ["two outputs are swapped", { boxes: [0.9, 0.8, 0.3], scores: [0.1, 0.2] }],
    ["an output lost an element", { boxes: [0.1, 0.2], scores: [0.9, 0.8] }],
    ["an output is all zeros", { boxes: [0, 0, 0], scores: [0.9, 0.8] }],
    ["an output is NaN", { boxes: [NaN, NaN, NaN], scores: [0.9, 0.8] }],
  ])("notices that %s", (_, chained) => {
    expect(compareOutputs(whole, tensors(chained), 1e-4).ok).toBe(false);
  });

  it("does not take a missing output for an equal one", () => {
    expect(() => compareOutputs(whole, tensors({ boxes: [0.1, 0.2, 0.3] }), 1e-4)).toThrow(
      /did not produce scores/,
    );
  });

  it("compares half precision by value, whether it comes as bits or as numbers", () => {
    const half = (bits: number): Tensors =>
      new Map([["y", new Tensor("float16", new Uint16Array([bits]), [1])]]);
    const one = 0x3c00;
    expect(compareOutputs(half(one), half(one + 1), 1e-4).ok).toBe(true);
    expect(compareOutputs(half(one), half(one + 0x200), 1e-4)).toMatchObject({
      maxAbsoluteError: 0.5,
      ok: false,
    });
  });
});
