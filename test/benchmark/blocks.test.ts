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
        const { blocks } = chooseBlocks(opened, { cutInsideFusions, blocksMax: 100 });
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
    const options = { cutInsideFusions: false, blocksMax: 100 };
    expect(chooseBlocks({ ...whole, layers: 7 }, options).blocks).toMatchObject([
      { firstLayer: 0, lastLayer: 6 },
    ]);
    expect(chooseBlocks({ ...whole, layers: 0 }, options).blocks).toMatchObject([
      { firstLayer: 0, lastLayer: 0 },
    ]);
  });

  it("keeps the cuts with the fewest bytes where there are too many, the earlier of equals", () => {
    const cutPoints = [5, 1, 3, 1, 1].map((bytes, index) => ({
      index,
      afterLayer: index,
      tensors: [{ ...tensor(`t${index}`), bytes }],
      fused: index === 1,
    }));
    const opened = { layers: 6, cutPoints, outputs: [tensor("y")] };
    const lastLayers = (blocksMax: number): number[] =>
      chooseBlocks(opened, { cutInsideFusions: false, blocksMax }).blocks.map(
        ({ lastLayer }) => lastLayer,
      );
    expect(lastLayers(5)).toEqual([0, 2, 3, 4, 5]);
    expect(lastLayers(4)).toEqual([2, 3, 4, 5]);
    expect(lastLayers(2)).toEqual([3, 5]);
    expect(lastLayers(1)).toEqual([5]);
    expect(chooseBlocks(opened, { cutInsideFusions: false, blocksMax: 2 }).cutsLeftOut).toBe(3);
  });
});
