import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/core/index.js";
import { mixed, type Moments, rectified, summed } from "../../src/zoo/moments.js";

const SAMPLES = 40_000;
const random = seededRandom(7);

function draw({ mean, variance }: Moments): number[] {
  return Array.from({ length: SAMPLES }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    return mean + Math.sqrt(variance) * radius * Math.cos(2 * Math.PI * random());
  });
}

function momentsOf(values: readonly number[]): Moments {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const power = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  return { mean, variance: power - mean * mean };
}

function expectClose(actual: Moments, expected: Moments): void {
  const scale = Math.sqrt(expected.variance) + 0.1;
  expect(Math.abs(actual.mean - expected.mean) / scale).toBeLessThan(0.04);
  expect(Math.abs(actual.variance - expected.variance) / scale ** 2).toBeLessThan(0.06);
}

const moments = fc.record({
  mean: fc.double({ min: -2, max: 2, noNaN: true }),
  variance: fc.double({ min: 0.1, max: 4, noNaN: true }),
});

describe("moments", () => {
  it("predict ReLU of normal values", () => {
    fc.assert(
      fc.property(moments, (input) => {
        const relu = draw(input).map((value) => Math.max(0, value));
        expectClose(momentsOf(relu), rectified(input));
      }),
      { numRuns: 25 },
    );
  });

  it("predict weighted sums", () => {
    fc.assert(
      fc.property(moments, moments, (a, b) => {
        const other = draw(b);
        const sums = draw(a).map((value, index) => value - 0.5 * other[index]!);
        const predicted = summed([
          { moments: a, factor: 1 },
          { moments: b, factor: -0.5 },
        ]);
        expectClose(momentsOf(sums), predicted);
      }),
      { numRuns: 25 },
    );
  });

  it("predict concatenations", () => {
    fc.assert(
      fc.property(moments, moments, (a, b) => {
        const joined = [...draw(a), ...draw(b), ...draw(b)];
        const predicted = mixed([
          { moments: a, weight: 1 },
          { moments: b, weight: 2 },
        ]);
        expectClose(momentsOf(joined), predicted);
      }),
      { numRuns: 25 },
    );
  });

  it("leave something of values that are all negative, so that nothing is divided by zero", () => {
    expect(rectified({ mean: -50, variance: 1 }).variance).toBeGreaterThan(0);
  });
});
