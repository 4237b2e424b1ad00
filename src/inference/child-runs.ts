import { performance } from "node:perf_hooks";
import type { Tensors } from "./child-tensors.js";
import { type Sample, undisturbed } from "./disturbance.js";
import type { Repeat } from "./messages.js";
import { AGREEING_RUNS, agreesWithEarlier, isStable } from "./stability.js";
import type { Yardstick } from "./yardstick.js";

const MICROSECONDS_PER_MS = 1_000;
/** After so many runs the shortest model is as fast as it stays, and its median is well known. */
const SETTLED_RUNS = 20;

export interface TimedRuns {
  samplesMs: number[];
  stable: boolean;
  slowed: boolean;
  first: Tensors;
  last: Tensors;
}

/** What a model runs on. */
export interface Processor {
  yardstick: Yardstick;
  /** Whether one thread of it does all the computing. */
  isOneThread: boolean;
}

/** Runs until the time of a run is known as `repeat` asks; runs that were disturbed do not count. */
export async function timeRuns(
  repeat: Repeat,
  processor: Processor,
  run: () => Promise<Tensors>,
): Promise<TimedRuns> {
  const { yardstick, isOneThread } = processor;
  const startedAtMs = performance.now();
  const { settleMs = 0, budgetMs } = repeat;
  let first: Tensors | undefined;
  for (let warmup = 0; ; warmup++) {
    const elapsedMs = performance.now() - startedAtMs;
    const isSettled = elapsedMs >= settleMs || warmup >= SETTLED_RUNS;
    if ((warmup >= repeat.warmups && isSettled) || elapsedMs > budgetMs) break;
    const outputs = await run();
    first ??= outputs;
  }
  const warmAtMs = performance.now();
  const samples: Sample[] = [];
  for (let before = yardstick.read(); ; ) {
    const { sample, outputs: last } = await timeRun(run);
    const after = yardstick.read();
    samples.push({ ...sample, yardstickMs: Math.max(before, after) });
    before = after;
    first ??= last;
    const { fastestMs } = yardstick;
    const counted = undisturbed(samples, { repeats: repeat.repeats, fastestMs, isOneThread });
    const nowMs = performance.now();
    const isBrief = nowMs - warmAtMs < settleMs && samples.length < SETTLED_RUNS;
    const few = undisturbed(samples, { repeats: AGREEING_RUNS, fastestMs, isOneThread });
    const isAsBefore = few.isSettled && agreesWithEarlier(few.samplesMs, repeat.stability);
    if (isAsBefore && !few.isSlowed && !isBrief) {
      return { samplesMs: few.samplesMs, stable: true, slowed: false, first, last };
    }
    const mayStop = counted.isSettled && !isBrief;
    const isOverBudget = nowMs - startedAtMs > budgetMs;
    const stop = isOverBudget
      ? "limit"
      : mayStop
        ? stopAfter(counted.samplesMs, repeat)
        : undefined;
    if (stop === undefined) continue;
    const slowed = counted.isSlowed;
    const stable = stop === "known" && !slowed;
    return { samplesMs: counted.samplesMs, stable, slowed, first, last };
  }
}

async function timeRun(
  run: () => Promise<Tensors>,
): Promise<{ sample: Omit<Sample, "yardstickMs">; outputs: Tensors }> {
  const beforeMs = performance.now();
  const cpuBefore = process.cpuUsage();
  const outputs = await run();
  const { user, system } = process.cpuUsage(cpuBefore);
  const wallMs = performance.now() - beforeMs;
  return { sample: { wallMs, cpuMs: (user + system) / MICROSECONDS_PER_MS }, outputs };
}

/** Whether the samples so far suffice, or no more are allowed. */
function stopAfter(samplesMs: readonly number[], repeat: Repeat): "known" | "limit" | undefined {
  const { repeats, stability } = repeat;
  const count = samplesMs.length;
  if (count < repeats) return undefined;
  if (stability === undefined || isStable(samplesMs, stability)) return "known";
  return count >= stability.repeatsMax ? "limit" : undefined;
}
