import { describe, expect, it } from "vitest";
import { createBroadcast, inTurns } from "../../src/publisher/turns.js";
import { until } from "../support/poll.js";

const members = new Set(Array.from({ length: 1_000 }, (_, index) => index));

/** A clock on which each member takes this long, and what was served before another event came. */
function serving(memberMs: number): { clock: { monotonicMs(): number }; act: () => void } {
  let nowMs = 0;
  return {
    clock: { monotonicMs: () => nowMs },
    act: () => {
      nowMs += memberMs;
    },
  };
}

describe("turns over many members", () => {
  it.each([
    { memberMs: 1, what: "pause for other events where serving takes long", early: [64, 65] },
    { memberMs: 0.001, what: "go through where it does not", early: [1_000, 1_000] },
  ])("$what", async ({ memberMs, early: [least = 0, most = 0] }) => {
    const { clock, act } = serving(memberMs);
    let served = 0;
    let servedBefore: number | undefined;
    setImmediate(() => {
      servedBefore ??= served;
    });
    const done = inTurns(
      members,
      () => {
        act();
        served += 1;
      },
      clock,
    );
    await done;
    await until(() => servedBefore !== undefined);
    expect(served).toBe(1_000);
    expect(servedBefore).toBeGreaterThanOrEqual(least);
    expect(servedBefore).toBeLessThanOrEqual(most);
  });
});

describe("a broadcast", () => {
  it("serves what is asked for at once in one pass, before other events", async () => {
    const { clock } = serving(0);
    const served: number[] = [];
    const tell = createBroadcast(new Set([1, 2]), (member) => served.push(member), clock);
    let servedBefore: number | undefined;
    setImmediate(() => {
      servedBefore = served.length;
    });
    tell();
    tell();
    expect(served).toEqual([]);
    await until(() => servedBefore !== undefined);
    expect(servedBefore).toBe(2);
    tell();
    await until(() => served.length === 4);
    expect(served).toEqual([1, 2, 1, 2]);
  });
});
