import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chooseBlocks } from "../../src/benchmark/blocks.js";

const tensor = (name: string): { name: string; dtype: string; shape: number[]; bytes: number } => ({
  name,
  dtype: "float32",
  shape: [1],
  bytes: 4,
});

describe("chooseBlocks", () => {
  it("covers every layer once, in order, whatever the cuts", () => {
    const cuts = fc.uniqueArray(fc.record({ afterLayer: fc.nat(98), fused: fc.boolean() }), {
      selector: (cut) => cut.afterLayer,
    });
    fc.assert(
      fc.property(cuts, fc.boolean(), (unsorted, cutInsideFusions) => {
        const cutPoints = unsorted
          .toSorted((a, b) => a.afterLayer - b.afterLayer)
          .map((cut, index) => ({ ...cut, index, tensors: [tensor(`t${index}`)] }));
        const opened = { layers: 100, cutPoints, outputs: [tensor("y")] };
        const blocks = chooseBlocks(opened, { cutInsideFusions });
        const layers = blocks.flatMap(({ firstLayer, lastLayer }) =>
          Array.from({ length: lastLayer - firstLayer + 1 }, (_, offset) => firstLayer + offset),
        );
        expect(layers).toEqual(Array.from({ length: 100 }, (_, layer) => layer));
        const used = cutPoints.filter((cut) => cutInsideFusions || !cut.fused);
        expect(blocks.map((block) => block.cutTensors)).toEqual([
          ...used.map((cut) => cut.tensors),
          opened.outputs,
        ]);
      }),
    );
  });

  it("makes one block of a model that cannot be split, also of one without layers", () => {
    const whole = { cutPoints: [], outputs: [tensor("y")] };
    expect(chooseBlocks({ ...whole, layers: 7 }, { cutInsideFusions: false })).toMatchObject([
      { firstLayer: 0, lastLayer: 6 },
    ]);
    expect(chooseBlocks({ ...whole, layers: 0 }, { cutInsideFusions: false })).toMatchObject([
      { firstLayer: 0, lastLayer: 0 },
    ]);
  });
});
