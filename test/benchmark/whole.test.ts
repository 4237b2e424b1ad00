import { describe, expect, it } from "vitest";
import { openSteps } from "../../src/benchmark/steps.js";
import { statisticsOf } from "../../src/benchmark/statistics.js";
import { takeWhole } from "../../src/benchmark/whole.js";
import { silentLogger } from "../../src/core/index.js";
import { ManualClock } from "../support/manual-clock.js";

const at = (timeMs: number) => ({ samplesMs: [timeMs, timeMs, timeMs], stable: true });

/** Times the whole at moments at which it takes this long, one after another; also when each began. */
async function take(momentsMs: readonly number[], earlierMs?: number) {
  const clock = new ManualClock();
  const startedMs = clock.monotonicMs();
  const begunMs: number[] = [];
  const [first = 0, ...others] = momentsMs;
  const { signal } = new AbortController();
  const steps = await openSteps("whole", {
    ...{ totalWork: 1, signal },
    deps: { log: silentLogger, clock },
  });
  const whole = await takeWhole(statisticsOf(at(first)), {
    worker: {
      measure: () => {
        begunMs.push(clock.monotonicMs() - startedMs);
        return Promise.resolve({ ...at(others.shift() ?? 0), openMs: 0, outputs: [] });
      },
    },
    repeat: { warmups: 1, repeats: 3, budgetMs: 1_000 },
    clock: {
      sleep: (ms) => {
        clock.advance(ms);
        return Promise.resolve();
      },
    },
    earlier:
      earlierMs === undefined ? undefined : { medianMs: earlierMs, p95Ms: 12, spreadMs: 0.5 },
    ...{ steps, signal },
  });
  return { whole, begunMs };
}

describe("the time of the whole model", () => {
  it("is what two moments agree on, apart from each other", async () => {
    const { whole, begunMs } = await take([10, 10.4]);
    expect(whole).toMatchObject({ medianMs: 10.2, repeats: 6, stable: true });
    expect(begunMs).toEqual([750]);
  });

  it("is the middle one of three, where the first two disagree", async () => {
    const { whole, begunMs } = await take([13, 10, 10.3]);
    expect(whole).toMatchObject({ medianMs: 10.3, repeats: 9 });
    expect(begunMs).toEqual([750, 1_500]);
  });

  it("is what it and an earlier benchmark agree on, and not timed again", async () => {
    const { whole, begunMs } = await take([10], 10.6);
    expect(whole.medianMs).toBeCloseTo(10.3, 9);
    expect(whole).toMatchObject({ p95Ms: 12, spreadMs: 0.5 });
    expect(begunMs).toEqual([]);
  });

  it("is a new one where it lasts, whatever an earlier benchmark found", async () => {
    const { whole } = await take([10, 10], 7);
    expect(whole.medianMs).toBe(10);
    expect((await take([10, 7, 7.1], 7)).whole.medianMs).toBe(7.1);
  });
});
