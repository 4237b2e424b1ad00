import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { slide } from "../../src/zoo/window.js";

/** Every place of the window along one axis, counted out. */
function countOut(size: number, { kernel, stride, before, after }: Record<string, number>) {
  const padded = [
    ...Array<0>(before!).fill(0),
    ...Array<1>(size).fill(1),
    ...Array<0>(after!).fill(0),
  ];
  let positions = 0;
  let covered = 0;
  for (let start = 0; start + kernel! <= padded.length; start += stride!) {
    positions += 1;
    covered += padded.slice(start, start + kernel!).filter((cell) => cell === 1).length;
  }
  return { positions, coverage: covered / (positions * kernel!) };
}

const windows = fc.record({
  size: fc.integer({ min: 7, max: 40 }),
  kernel: fc.integer({ min: 1, max: 7 }),
  stride: fc.integer({ min: 1, max: 3 }),
  padding: fc.constantFrom("same" as const, "valid" as const),
});

describe("slide", () => {
  it("agrees with counting out the places of the window", () => {
    fc.assert(
      fc.property(windows, ({ size, kernel, stride, padding }) => {
        const sliding = slide([size, 40], { kernel: [kernel, 1], stride, padding });
        const [before, , after] = sliding.pads;
        const counted = countOut(size, { kernel, stride, before, after });
        expect(sliding.outputSize[0]).toBe(counted.positions);
        const horizontal = slide([40, 40], { kernel: 1, stride, padding }).coverage;
        expect(sliding.coverage).toBeCloseTo(counted.coverage * horizontal, 12);
      }),
    );
  });

  it.each([
    { image: 224, window: { kernel: 3, stride: 2 }, output: 112, pads: [0, 0, 1, 1] },
    { image: 75, window: { kernel: 3, stride: 2 }, output: 38, pads: [1, 1, 1, 1] },
    { image: 17, window: { kernel: [1, 7] as const }, output: 17, pads: [0, 3, 0, 3] },
    { image: 56, window: { kernel: 1, stride: 2 }, output: 28, pads: [0, 0, 0, 0] },
    {
      image: 149,
      window: { kernel: 3, stride: 2, padding: "valid" as const },
      output: 74,
      pads: [0, 0, 0, 0],
    },
  ])("pads and counts as TensorFlow: $window on $image", ({ image, window, output, pads }) => {
    expect(slide([image, image], window)).toMatchObject({ outputSize: [output, output], pads });
  });

  it("refuses a window larger than the image", () => {
    expect(() => slide([2, 2], { kernel: 3, padding: "valid" })).toThrow(/does not fit/);
  });
});
