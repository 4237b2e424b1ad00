import { afterEach, describe, expect, it } from "vitest";
import { silentLogger } from "../../src/core/index.js";
import { type Schedule, startSchedule } from "../../src/daemon/schedule.js";
import { ManualClock } from "../support/manual-clock.js";

const MINUTE_MS = 60_000;
const OPTIONS = {
  benchmark: "17 3 * * *",
  timezone: "UTC",
  missedToleranceSeconds: 300,
  wallTimeMinutes: 60,
  maxProfileAgeHours: 48,
};

describe("the schedule", () => {
  let schedule: Schedule | undefined;
  afterEach(() => schedule?.stop());

  function start(expectedAtMs: (nowMs: number) => number | null) {
    const clock = new ManualClock(Date.now());
    let runs = 0;
    const saved: (number | null)[] = [];
    schedule = startSchedule(OPTIONS, {
      due: () => (runs += 1),
      expectedAtMs: expectedAtMs(clock.nowMs()),
      save: (at) => saved.push(at),
      clock,
      log: silentLogger,
    });
    return { clock, runs: () => runs, saved };
  }

  it("catches up once with runs that were missed while nothing ran", () => {
    const { runs, saved } = start((nowMs) => nowMs - 72 * 60 * MINUTE_MS);
    expect(runs()).toBe(1);
    expect(saved.at(-1)).toBe(schedule?.nextRunAtMs());
  });

  it("does not run early, and not where nothing was expected", () => {
    expect(start((nowMs) => nowMs + MINUTE_MS).runs()).toBe(0);
    expect(start(() => null).runs()).toBe(0);
  });

  it("catches up with a run that the machine slept through", async () => {
    const { clock, runs } = start(() => null);
    clock.advance(24 * 60 * MINUTE_MS + 6 * MINUTE_MS);
    await new Promise((resolve) => setImmediate(resolve));
    expect(runs()).toBe(1);
    clock.advance(MINUTE_MS);
    await new Promise((resolve) => setImmediate(resolve));
    expect(runs()).toBeLessThanOrEqual(2);
  });
});
