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

  it("stays where what is seen is near it, so that times stay comparable", () => {
    expect(usualSpeed({ ...USUAL, offSince: AT_MS }, 0.11, AT_MS)).toEqual(USUAL);
  });

  it("stays while a neighbour slows the processor down, and remembers since when", () => {
    const first = usualSpeed(USUAL, SLOW_MS, AT_MS);
    expect(first).toEqual({ ...USUAL, offSince: AT_MS });
    expect(usualSpeed(first, SLOW_MS, AT_MS + 20 * MINUTE_MS)).toEqual(first);
  });

  it("is another one once every look for half an hour found that, slower or faster", () => {
    const first = usualSpeed(USUAL, SLOW_MS, AT_MS);
    expect(usualSpeed(first, SLOW_MS, AT_MS + 31 * MINUTE_MS)).toEqual(SLOW);
    const faster = usualSpeed(SLOW, USUAL.yardstickMs, AT_MS);
    expect(usualSpeed(faster, USUAL.yardstickMs, AT_MS + 31 * MINUTE_MS)).toEqual(USUAL);
  });

  it("begins to wait anew after a look that found the usual speed", () => {
    const off = usualSpeed(USUAL, SLOW_MS, AT_MS);
    const back = usualSpeed(off, USUAL.yardstickMs, AT_MS + 20 * MINUTE_MS);
    const again = usualSpeed(back, SLOW_MS, AT_MS + 40 * MINUTE_MS);
    expect(again).toEqual({ ...USUAL, offSince: AT_MS + 40 * MINUTE_MS });
  });

  it("does not wait for a moment that a clock which was set back has yet to reach", () => {
    const future = { ...USUAL, offSince: AT_MS + 1_000 * MINUTE_MS };
    expect(usualSpeed(future, SLOW_MS, AT_MS)).toEqual({ ...USUAL, offSince: AT_MS });
  });
});
