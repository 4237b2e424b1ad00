import { describe, expect, it } from "vitest";
import { confirmingPaceOf, createPace, type LiveWork } from "../../src/benchmark/index.js";
import { ManualClock } from "../support/manual-clock.js";

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Waits by moving the clock; resolves with how long it took. */
async function waited(clock: ManualClock, work: Promise<void>): Promise<number> {
  const startMs = clock.monotonicMs();
  const done = new AbortController();
  void work.then(() => {
    done.abort();
  });
  await settle();
  while (!done.signal.aborted) {
    clock.advance(10);
    await settle();
  }
  return clock.monotonicMs() - startMs;
}

describe("the pace of a benchmark", () => {
  const never = new AbortController().signal;

  it("keeps to its share of the time", async () => {
    const clock = new ManualClock();
    const pause = createPace(
      { cpuSharePercent: 25, liveSharePercent: 25, pausedMsMax: 0 },
      { clock, liveWork: () => "none" },
    );
    let worked = 0;
    for (const stepMs of [100, 1_000, 40]) {
      clock.advance(stepMs);
      worked += stepMs;
      expect(await waited(clock, pause(never))).toBeGreaterThanOrEqual(3 * stepMs);
      expect(worked / clock.monotonicMs()).toBeLessThanOrEqual(0.25);
    }
  });

  it("pauses while live work needs the machine, but not for ever", async () => {
    const clock = new ManualClock();
    let live: LiveWork = "overload";
    const pause = createPace(
      { cpuSharePercent: 100, liveSharePercent: 100, pausedMsMax: 5_000 },
      { clock, liveWork: () => live },
    );
    const paused = pause(never);
    await settle();
    clock.advance(1_000);
    await settle();
    live = "none";
    expect(await waited(clock, paused)).toBeLessThanOrEqual(200);
    live = "overload";
    expect(await waited(clock, pause(never))).toBeLessThanOrEqual(5_000);
    expect(await waited(clock, pause(never))).toBe(0);
  });

  it("works less beside live work, while that lasts and within its bound", async () => {
    const clock = new ManualClock();
    let live: LiveWork = "some";
    const pause = createPace(
      { cpuSharePercent: 50, liveSharePercent: 5, pausedMsMax: 3_000 },
      { clock, liveWork: () => live },
    );
    clock.advance(100);
    expect(await waited(clock, pause(never))).toBeGreaterThanOrEqual(1_900);
    clock.advance(100);
    const paused = pause(never);
    for (let passedMs = 0; passedMs < 300; passedMs += 10) {
      clock.advance(10);
      await settle();
    }
    live = "none";
    expect(await waited(clock, paused)).toBeLessThanOrEqual(200);
    live = "some";
    clock.advance(1_000);
    expect(await waited(clock, pause(never))).toBeLessThan(1_000 + 3_000);
    clock.advance(100);
    expect(await waited(clock, pause(never))).toBeLessThanOrEqual(110);
  });

  it("lets a plan wait for live work, but for a tenth of what one waits for at most", async () => {
    const clock = new ManualClock();
    const pause = createPace(confirmingPaceOf({ liveSharePercent: 2, timeoutMs: 60_000 }), {
      clock,
      liveWork: () => "some",
    });
    clock.advance(100);
    expect(await waited(clock, pause(never))).toBeGreaterThanOrEqual(49 * 100);
    let restedMs = 0;
    for (let step = 0; step < 5; step += 1) {
      clock.advance(1_000);
      restedMs += await waited(clock, pause(never));
    }
    expect(restedMs).toBeLessThanOrEqual(1_100);
  });

  it("ends at once when the benchmark is given up", async () => {
    const clock = new ManualClock();
    const pause = createPace(
      { cpuSharePercent: 1, liveSharePercent: 1, pausedMsMax: 5_000 },
      { clock, liveWork: () => "overload" },
    );
    clock.advance(10_000);
    const stop = new AbortController();
    const paused = pause(stop.signal);
    stop.abort();
    await paused;
    expect(clock.monotonicMs()).toBe(10_000);
  });
});
