import { describe, expect, it } from "vitest";
import { timeRuns } from "../../src/inference/child-runs.js";

const EXACTLY = { warmups: 1, repeats: 3, budgetMs: 60_000 };
const REPEAT = {
  ...EXACTLY,
  stability: { relativeHalfWidth: 1, confidence: 0.75, negligibleMs: 1, repeatsMax: 3 },
};

const USUAL_MS = 0.1;

/** Reads these slowdowns one after another, the last one for ever. */
function processor(...slowdowns: number[]) {
  return {
    isOneThread: true,
    usualMs: () => Promise.resolve(USUAL_MS),
    read() {
      const slowdown = slowdowns.length > 1 ? (slowdowns.shift() ?? 1) : (slowdowns[0] ?? 1);
      return Promise.resolve(slowdown * USUAL_MS);
    },
  };
}

const RUN_MS = 0.1;

/**
 * A run that computes for so long, by the clock and in processor time, by which an interrupted run counts;
 * and how often it was called.
 */
function work(runMs = RUN_MS) {
  let calls = 0;
  return {
    run: () => {
      calls += 1;
      const untilMs = performance.now() + runMs;
      const before = process.cpuUsage();
      const computedMs = (): number => {
        const { user, system } = process.cpuUsage(before);
        return (user + system) / 1_000;
      };
      while (performance.now() < untilMs || computedMs() < runMs);
      return Promise.resolve(new Map());
    },
    get calls() {
      return calls;
    },
  };
}

describe("timeRuns", () => {
  it("lets a short model settle, but runs it only so often", async () => {
    const short = work();
    const timed = await timeRuns({ ...REPEAT, settleMs: 60_000 }, processor(1), short.run);
    expect(short.calls).toBeGreaterThanOrEqual(40);
    // Runs between two readings are counted together.
    expect(timed.samplesMs.length).toBeLessThan(40);
    expect(timed.stable).toBe(true);
  });

  it("runs as few as asked where one takes longer than a reading is good for", async () => {
    const model = work(25);
    const { samplesMs } = await timeRuns(REPEAT, processor(1), model.run);
    expect(samplesMs.length).toBeGreaterThanOrEqual(3);
    expect(model.calls).toBeLessThanOrEqual(1 + 9);
  });

  it("reads the yardstick no longer than it runs where that takes long", async () => {
    const yardstickMs = 30;
    let readings = 0;
    const slow = {
      isOneThread: true,
      usualMs: () => Promise.resolve(yardstickMs),
      read() {
        readings += 1;
        return Promise.resolve(yardstickMs);
      },
    };
    const model = work(1);
    const stability = { ...REPEAT.stability, repeatsMax: 20 };
    await timeRuns({ ...REPEAT, stability, settleMs: 60_000 }, slow, model.run);
    // Before the first run and behind the last; a third where the machine is busy.
    expect(readings).toBeLessThanOrEqual(3);
  });

  it("runs just so often where no certainty is asked for, and counts runs as they are", async () => {
    const model = work();
    const { samplesMs } = await timeRuns(EXACTLY, processor(4), model.run);
    expect(model.calls).toBe(1 + 3);
    expect(samplesMs).toHaveLength(3);
    expect(Math.min(...samplesMs)).toBeGreaterThanOrEqual(RUN_MS);
  });

  it("goes without warm-ups where none are asked for, however long it is to settle", async () => {
    const model = work();
    await timeRuns({ ...EXACTLY, warmups: 0, settleMs: 60_000 }, processor(1), model.run);
    expect(model.calls).toBe(3);
  });

  it("tells what a run takes at the usual speed, slow as the processor may be", async () => {
    const slow = await timeRuns(REPEAT, processor(2), work().run);
    expect(Math.min(...slow.samplesMs)).toBeLessThan(0.8 * RUN_MS);
    const fast = await timeRuns(REPEAT, processor(0.5), work().run);
    expect(Math.min(...fast.samplesMs)).toBeGreaterThan(1.2 * RUN_MS);
  });

  it("does not run for ever for a median that a restless processor never tells", async () => {
    const restless = Array.from({ length: 1_000 }, (_, index) => (index % 4 === 0 ? 1.7 : 1));
    const model = work();
    const certain = { relativeHalfWidth: 0, confidence: 0.75, negligibleMs: 0, repeatsMax: 20 };
    const repeat = { ...EXACTLY, stability: certain };
    const timed = await timeRuns(repeat, processor(...restless), model.run);
    expect(model.calls).toBeLessThan(1 + 40 + 20);
    expect(timed.stable).toBe(false);
  });

  it("knows nothing of the speed where several threads compute", async () => {
    const { samplesMs } = await timeRuns(
      REPEAT,
      { ...processor(4), isOneThread: false },
      work().run,
    );
    expect(Math.min(...samplesMs)).toBeGreaterThanOrEqual(RUN_MS);
  });
});
