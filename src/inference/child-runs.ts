import { performance } from "node:perf_hooks";
import type { Tensors } from "./child-tensors.js";
import { type Sample, undisturbed } from "./disturbance.js";
import type { Repeat } from "./messages.js";
import { AGREEING_RUNS, agreesWithEarlier, isStable } from "./stability.js";
import type { Yardstick } from "./yardstick.js";

const MICROSECONDS_PER_MS = 1_000;
/** After so many runs the shortest model is as fast as it stays, and its median is well known. */
const SETTLED_RUNS = 20;
/** So many runs are made at most for each one that may count, disturbed ones included. */
const RUNS_PER_REPEAT_MAX = 2;

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

/**
 * Runs until the time of a run is known as `repeat` asks; runs that were disturbed do not count. Where
 * it asks for no certainty, just so many runs are timed, and all count.
 */
export async function timeRuns(
  repeat: Repeat,
  processor: Processor,
  run: () => Promise<Tensors>,
): Promise<TimedRuns> {
  const { yardstick } = processor;
  const { settleMs = 0, budgetMs } = repeat;
  const repeatsMax = repeat.stability?.repeatsMax ?? Infinity;
  const runsMax = Math.max(SETTLED_RUNS, RUNS_PER_REPEAT_MAX * repeatsMax);
  const startedAtMs = performance.now();
  let first = await warmUp(repeat, run);
  const warmAtMs = performance.now();
  const samples: Sample[] = [];
  for (let before = yardstick.read(); ; ) {
    const { sample, outputs: last } = await timeRun(run);
    const after = yardstick.read();
    samples.push({ ...sample, yardstickMs: Math.max(before, after) });
    before = after;
    first ??= last;
    const nowMs = performance.now();
    const verdict = judge(samples, {
      ...{ repeat, processor },
      isBrief: nowMs - warmAtMs < settleMs && samples.length < SETTLED_RUNS,
      isOverBudget: nowMs - startedAtMs > budgetMs || samples.length >= runsMax,
    });
    if (verdict !== undefined) return { ...verdict, first, last };
  }
}

/** Runs that are not timed. @returns what the first one computed; undefined where none was asked for */
async function warmUp(
  { settleMs = 0, warmups, budgetMs }: Repeat,
  run: () => Promise<Tensors>,
): Promise<Tensors | undefined> {
  if (warmups === 0) return undefined;
  const startedAtMs = performance.now();
  let first: Tensors | undefined;
  for (let warmup = 0; ; warmup++) {
    const elapsedMs = performance.now() - startedAtMs;
    const isSettled = elapsedMs >= settleMs || warmup >= SETTLED_RUNS;
    if ((warmup >= warmups && isSettled) || elapsedMs > budgetMs) return first;
    const outputs = await run();
    first ??= outputs;
  }
}

/** The runs that count, once they suffice or no more are allowed; undefined while it is to go on. */
function judge(
  samples: readonly Sample[],
  now: { repeat: Repeat; processor: Processor; isBrief: boolean; isOverBudget: boolean },
): Pick<TimedRuns, "samplesMs" | "stable" | "slowed"> | undefined {
  const { repeat, processor, isBrief, isOverBudget } = now;
  const { yardstick, isOneThread } = processor;
  const count = (repeats: number) =>
    undisturbed(samples, { repeats, fastestMs: yardstick.fastestMs, isOneThread });
  if (repeat.stability?.expectedMs !== undefined) {
    const { samplesMs, isSettled, isSlowed } = count(AGREEING_RUNS);
    if (isSettled && !isSlowed && agreesWithEarlier(samplesMs, repeat.stability)) {
      return { samplesMs, stable: true, slowed: false };
    }
  }
  const { samplesMs, isSettled, isSlowed } = count(repeat.repeats);
  if (isOverBudget) return { samplesMs, stable: false, slowed: isSlowed };
  const mayStop = repeat.stability === undefined || (isSettled && !isBrief);
  const stop = mayStop ? stopAfter(samplesMs, repeat) : undefined;
  return stop && { samplesMs, stable: stop === "known" && !isSlowed, slowed: isSlowed };
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
