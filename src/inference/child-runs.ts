import { performance } from "node:perf_hooks";
import { timed } from "./child-timed.js";
import type { Tensors } from "./child-tensors.js";
import { type Sample, undisturbed } from "./disturbance.js";
import type { Repeat } from "./messages.js";
import type { Processor } from "./processor.js";
import { slowdownOf } from "./slowdown.js";
import { AGREEING_RUNS, agreesWithEarlier, isStable } from "./stability.js";

/** After so many runs the shortest model is as fast as it stays, and its median is well known. */
const SETTLED_RUNS = 20;
/** So many runs are made at most for each one that may count, disturbed ones included. */
const RUNS_PER_REPEAT_MAX = 2;
/** Between two readings of the yardstick runs go on for so long at least. */
const READING_EVERY_MS = 5;
/** And for as long as a reading, in yardsticks: a slow processor would do little else than read. */
const READING_EVERY_YARDSTICKS = 2;

export interface TimedRuns {
  /** At the processor's usual speed. */
  samplesMs: number[];
  stable: boolean;
  first: Tensors;
  last: Tensors;
}

export interface TimedSession extends TimedRuns {
  /** How long the session took to open. */
  openMs: number;
}

type Run = Pick<Sample, "wallMs" | "cpuMs">;

/**
 * Runs until the time of a run is known as `repeat` asks; runs that were interrupted do not count. Where
 * it asks for no certainty, just so many runs are timed, at the speed at which they ran.
 */
export async function timeRuns(
  repeat: Repeat,
  processor: Pick<Processor, "isOneThread" | "usualMs" | "read">,
  run: () => Promise<Tensors>,
): Promise<TimedRuns> {
  const { settleMs = 0, budgetMs, stability } = repeat;
  const runsMax = Math.max(SETTLED_RUNS, RUNS_PER_REPEAT_MAX * (stability?.repeatsMax ?? Infinity));
  const startedAtMs = performance.now();
  let first = await warmUp(repeat, run);
  const warmAtMs = performance.now();
  const isExact = stability !== undefined && processor.isOneThread;
  const { everyMs, slowdown } = isExact ? await takeReadings(processor) : AS_IT_IS;
  const samples: Sample[] = [];
  for (;;) {
    const wanted = isExact ? Math.max(1, stability.repeatsMax - samples.length) : 1;
    const { runs, last } = await timeSome(run, {
      runsMax: Math.min(wanted, SETTLED_RUNS),
      everyMs,
    });
    first ??= last;
    const factor = await slowdown();
    samples.push(...runs.map((one) => ({ ...one, slowdown: factor })));
    const nowMs = performance.now();
    const verdict = judge(samples, {
      ...{ repeat, isOneThread: processor.isOneThread },
      isBrief: nowMs - warmAtMs < settleMs && samples.length < SETTLED_RUNS,
      isOverBudget: nowMs - startedAtMs > budgetMs || samples.length >= runsMax,
    });
    if (verdict !== undefined) return { ...verdict, first, last };
  }
}

interface Readings {
  /** Milliseconds of runs for each reading. */
  everyMs: number;
  /** By what runs were slower than usual since it was called last, or since it was made. */
  slowdown: () => Promise<number>;
}

const AS_IT_IS: Readings = { everyMs: READING_EVERY_MS, slowdown: () => Promise.resolve(1) };

async function takeReadings(processor: Pick<Processor, "usualMs" | "read">): Promise<Readings> {
  const usualMs = await processor.usualMs();
  let beforeMs = await processor.read();
  return {
    everyMs: Math.max(READING_EVERY_MS, READING_EVERY_YARDSTICKS * usualMs),
    async slowdown() {
      const afterMs = await processor.read();
      const meanMs = (beforeMs + afterMs) / 2;
      beforeMs = afterMs;
      return slowdownOf(meanMs, usualMs);
    },
  };
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
  now: { repeat: Repeat; isOneThread: boolean; isBrief: boolean; isOverBudget: boolean },
): Pick<TimedRuns, "samplesMs" | "stable"> | undefined {
  const { repeat, isOneThread, isBrief, isOverBudget } = now;
  const count = (repeats: number) => undisturbed(samples, { repeats, isOneThread });
  if (repeat.stability?.expectedMs !== undefined) {
    const { samplesMs, isSettled } = count(AGREEING_RUNS);
    if (isSettled && agreesWithEarlier(samplesMs, repeat.stability)) {
      return { samplesMs, stable: true };
    }
  }
  const { samplesMs, isSettled } = count(repeat.repeats);
  const isExact = repeat.stability !== undefined;
  const stop = isSettled || !isExact ? stopAfter(samplesMs, repeat) : undefined;
  const goesOn = stop === undefined || (isExact && isBrief);
  return goesOn && !isOverBudget ? undefined : { samplesMs, stable: stop === "known" };
}

/** Times so many runs at most, and no further one once it is time for another reading. */
async function timeSome(
  run: () => Promise<Tensors>,
  { runsMax, everyMs }: { runsMax: number; everyMs: number },
): Promise<{ runs: Run[]; last: Tensors }> {
  const untilMs = performance.now() + everyMs;
  const runs: Run[] = [];
  for (;;) {
    const { value: last, wallMs, cpuMs } = await timed(run);
    runs.push({ wallMs, cpuMs });
    if (performance.now() >= untilMs || runs.length >= runsMax) return { runs, last };
  }
}

/** Whether the samples so far suffice, or no more are allowed. */
function stopAfter(samplesMs: readonly number[], repeat: Repeat): "known" | "limit" | undefined {
  const { repeats, stability } = repeat;
  const count = samplesMs.length;
  if (count < repeats) return undefined;
  if (stability === undefined || isStable(samplesMs, stability)) return "known";
  return count >= stability.repeatsMax ? "limit" : undefined;
}
