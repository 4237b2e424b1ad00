import { describe, expect, it } from "vitest";
import { usualSpeed } from "../../src/benchmark/processor.js";

const USUAL = { yardstickMs: 0.1 };
const SLOW = { yardstickMs: 0.15 };
const SLOW_MS = SLOW.yardstickMs;
const MINUTE_MS = 60_000;
const AT_MS = 1_000 * MINUTE_MS;

describe("usualSpeed", () => {
  it("is what is seen where nothing is known", () => {
    expect(usualSpeed(undefined, SLOW_MS, AT_MS)).toEqual(SLOW);
  });

  it("is what is seen where the earlier one is of another yardstick", () => {
    const off = usualSpeed(USUAL, SLOW_MS, AT_MS);
    expect(usualSpeed(off, 10 * USUAL.yardstickMs, AT_MS)).toEqual({ yardstickMs: 1 });
    expect(usualSpeed(off, USUAL.yardstickMs / 10, AT_MS)).toEqual({ yardstickMs: 0.01 });
  });

  it("stays where what is seen is near it, so that times stay comparable", () => {
    const off = usualSpeed(USUAL, SLOW_MS, AT_MS);
    expect(usualSpeed(off, 0.11, AT_MS + MINUTE_MS)).toEqual(USUAL);
  });

  it("stays while a neighbour slows the processor down, and remembers since when", () => {
    const first = usualSpeed(USUAL, SLOW_MS, AT_MS);
    expect(first).toEqual({ ...USUAL, other: { ...SLOW, since: AT_MS, looks: 1 } });
    const second = usualSpeed(first, SLOW_MS, AT_MS + 20 * MINUTE_MS);
    expect(second).toEqual({ ...USUAL, other: { ...SLOW, since: AT_MS, looks: 2 } });
  });

  it.each([
    ["slower", USUAL, SLOW],
    ["faster", SLOW, USUAL],
  ])("is a %s one that looks in a row found for half an hour", (_, usual, other) => {
    const at = [0, 10, 20, 31].map((minutes) => AT_MS + minutes * MINUTE_MS);
    const speeds = at.reduce<ReturnType<typeof usualSpeed>[]>(
      (seen, nowMs) => [...seen, usualSpeed(seen.at(-1), other.yardstickMs, nowMs)],
      [usual],
    );
    expect(speeds.map(({ yardstickMs }) => yardstickMs)).toEqual(
      [usual, usual, usual, usual, other].map(({ yardstickMs }) => yardstickMs),
    );
  });

  it("stays where only two looks found another one, however long ago the first was", () => {
    const first = usualSpeed(USUAL, SLOW_MS, AT_MS);
    expect(usualSpeed(first, SLOW_MS, AT_MS + 1_000 * MINUTE_MS)).toMatchObject(USUAL);
  });

  it("begins to wait anew after a look that found the usual speed, or a third one", () => {
    for (const between of [0.1, 0.4]) {
      const off = usualSpeed(USUAL, SLOW_MS, AT_MS);
      const back = usualSpeed(off, between, AT_MS + 20 * MINUTE_MS);
      const again = usualSpeed(back, SLOW_MS, AT_MS + 40 * MINUTE_MS);
      expect(again.other).toEqual({ ...SLOW, since: AT_MS + 40 * MINUTE_MS, looks: 1 });
    }
  });

  it("does not wait for a moment that a clock which was set back has yet to reach", () => {
    const future = { ...USUAL, other: { ...SLOW, since: AT_MS + 1, looks: 2 } };
    expect(usualSpeed(future, SLOW_MS, AT_MS).other).toMatchObject({ since: AT_MS, looks: 1 });
  });
});
