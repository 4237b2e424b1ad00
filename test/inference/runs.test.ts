import { Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { timeRuns } from "../../src/inference/child-runs.js";

const EXACTLY = { warmups: 1, repeats: 3, budgetMs: 60_000 };
const REPEAT = {
  ...EXACTLY,
  stability: { relativeHalfWidth: 1, confidence: 0.75, negligibleMs: 1, repeatsMax: 3 },
};

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
    const timed = await timeRuns(
      { ...REPEAT, settleMs: 60_000, runForMs: 60_000 },
      true,
      short.run,
    );
    expect(short.calls).toBeGreaterThanOrEqual(40);
    expect(timed.samplesMs.length).toBeLessThanOrEqual(20);
    expect(timed.stable).toBe(true);
  });

  it("runs as few as asked where they agree", async () => {
    const model = work(25);
    const { samplesMs } = await timeRuns(REPEAT, true, model.run);
    expect(samplesMs.length).toBeGreaterThanOrEqual(3);
    expect(model.calls).toBeLessThanOrEqual(1 + 9);
  });

  it("runs just so often where no certainty is asked for", async () => {
    const model = work();
    const { samplesMs } = await timeRuns(EXACTLY, true, model.run);
    expect(model.calls).toBe(1 + 3);
    expect(samplesMs).toHaveLength(3);
    expect(Math.min(...samplesMs)).toBeGreaterThanOrEqual(RUN_MS);
  });

  it("goes without warm-ups where none are asked for, however long it is to settle", async () => {
    const model = work();
    await timeRuns({ ...EXACTLY, warmups: 0, settleMs: 60_000 }, true, model.run);
    expect(model.calls).toBe(3);
  });

  it("does not run for ever for a median that a restless processor never tells", async () => {
    const model = work();
    const certain = { relativeHalfWidth: 0, confidence: 0.75, negligibleMs: 0, repeatsMax: 20 };
    const repeat = { ...EXACTLY, stability: certain };
    const timed = await timeRuns(repeat, true, model.run);
    expect(model.calls).toBeLessThan(1 + 40 + 20);
    expect(timed.stable).toBe(false);
  });

  it("stops at the first run that is like an earlier measurement", async () => {
    const earlier = { timeMs: RUN_MS, relativeHalfWidth: 1 };
    const model = work();
    const repeat = { ...REPEAT, repeats: 9, stability: { ...REPEAT.stability, earlier } };
    expect((await timeRuns(repeat, true, model.run)).stable).toBe(true);
    expect(model.calls).toBeLessThanOrEqual(4);
  });

  it("frees what a run computed before the next one", async () => {
    const bytes = 1_000_000;
    let mostHeld = 0;
    const run = (): Promise<Map<string, Tensor>> => {
      mostHeld = Math.max(mostHeld, process.memoryUsage().arrayBuffers - before);
      const output = new Tensor("float32", new Float32Array(bytes / 4), [bytes / 4]);
      return Promise.resolve(new Map([["y", output]]));
    };
    const before = process.memoryUsage().arrayBuffers;
    await timeRuns({ ...REPEAT, runForMs: 60_000 }, true, run);
    // The first and the last are kept; those of a few runs more may still be on their way out.
    expect(mostHeld).toBeLessThan(6 * bytes);
  });
});
