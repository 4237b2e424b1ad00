import { describe, expect, it } from "vitest";
import { timeRuns } from "../../src/inference/child-runs.js";

const EXACTLY = { warmups: 1, repeats: 3, budgetMs: 60_000 };
const REPEAT = {
  ...EXACTLY,
  stability: { relativeHalfWidth: 1, confidence: 0.75, negligibleMs: 1, repeatsMax: 3 },
};

/** Tells these times one after another, the last one for ever. */
function processor(...readingsMs: number[]) {
  let fastestMs = Infinity;
  const yardstick = {
    read() {
      const readingMs = readingsMs.length > 1 ? (readingsMs.shift() ?? 1) : (readingsMs[0] ?? 1);
      fastestMs = Math.min(fastestMs, readingMs);
      return readingMs;
    },
    get fastestMs() {
      return fastestMs;
    },
  };
  return { yardstick, isOneThread: true };
}

/** A run that computes for about a tenth of a millisecond, and how often it was called. */
function work() {
  let calls = 0;
  return {
    run: () => {
      calls += 1;
      const untilMs = performance.now() + 0.1;
      while (performance.now() < untilMs);
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
    expect(short.calls).toBe(40);
    expect(timed.samplesMs.length).toBeLessThanOrEqual(20);
  });

  it("runs as few as asked where nothing has to settle", async () => {
    const model = work();
    const { samplesMs } = await timeRuns(REPEAT, processor(1), model.run);
    expect(samplesMs.length).toBeGreaterThanOrEqual(3);
    expect(model.calls).toBeLessThanOrEqual(1 + 9);
  });

  it("runs just so often where no certainty is asked for, on a slow processor too", async () => {
    const model = work();
    const timed = await timeRuns(EXACTLY, processor(1, 1.7), model.run);
    expect(model.calls).toBe(1 + 3);
    expect(timed.samplesMs).toHaveLength(3);
    expect(timed.slowed).toBe(true);
  });

  it("goes without warm-ups where none are asked for, however long it is to settle", async () => {
    const model = work();
    await timeRuns({ ...EXACTLY, warmups: 0, settleMs: 60_000 }, processor(1), model.run);
    expect(model.calls).toBe(3);
  });

  it("does not count runs between which the processor was slow", async () => {
    const model = work();
    const readings = [1, 1.7, 1.7, 1, 1];
    const timed = await timeRuns(REPEAT, processor(...readings), model.run);
    // Three of the runs have a slow reading before or after them.
    expect(model.calls).toBeGreaterThanOrEqual(1 + 3 + 3);
    expect(timed.slowed).toBe(false);
  });

  it("does not run for ever for a median that a restless processor never tells", async () => {
    const restless = Array.from({ length: 1_000 }, (_, index) => (index % 4 === 0 ? 1.7 : 1));
    const model = work();
    const certain = { relativeHalfWidth: 0, confidence: 0.75, negligibleMs: 0, repeatsMax: 20 };
    const repeat = { ...EXACTLY, stability: certain };
    const timed = await timeRuns(repeat, processor(1, ...restless), model.run);
    expect(model.calls).toBeLessThanOrEqual(1 + 40);
    expect(timed.stable).toBe(false);
  });

  it("gives up on a processor that stays slow, and says so", async () => {
    const timed = await timeRuns(REPEAT, processor(1, 1.7), work().run);
    expect(timed).toMatchObject({ slowed: true, stable: false });
    expect(timed.samplesMs).toHaveLength(6);
  });
});
