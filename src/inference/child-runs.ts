import { performance } from "node:perf_hooks";
import { freeOutputs } from "./child-garbage.js";
import { timed } from "./child-timed.js";
import type { Tensors } from "./child-tensors.js";
import { type Sample, undisturbed } from "./disturbance.js";
import type { Repeat } from "./messages.js";
import { agreesWithEarlier, isStable } from "./stability.js";

/** After so many runs the shortest model is as fast as it stays, and its median is well known. */
const SETTLED_RUNS = 20;
/** So many runs are made at most for each one that may count, disturbed ones included. */
const RUNS_PER_REPEAT_MAX = 2;

export interface TimedRuns {
  samplesMs: number[];
  stable: boolean;
  first: Tensors;
  last: Tensors;
}

export interface TimedSession extends TimedRuns {
  /** How long the session took to open. */
  openMs: number;
}

/**
 * Runs until the time of a run is known as `repeat` asks; runs that were interrupted do not count. Where
 * it asks for no certainty, just so many runs are timed, or as many as take `runForMs`.
 * @param isOneThread whether one thread of the processor does all the computing
 */
export async function timeRuns(
  repeat: Repeat,
  isOneThread: boolean,
  run: () => Promise<Tensors>,
): Promise<TimedRuns> {
  const { runForMs = 0, budgetMs, stability } = repeat;
  const runsMax = Math.max(SETTLED_RUNS, RUNS_PER_REPEAT_MAX * (stability?.repeatsMax ?? Infinity));
  const startedAtMs = performance.now();
  let first = await warmUp(repeat, run);
  const warmAtMs = performance.now();
  const samples: Sample[] = [];
  for (;;) {
    const { value: last, wallMs, cpuMs } = await timed(run);
    if (isExact(repeat)) freeOutputs();
    first ??= last;
    samples.push({ wallMs, cpuMs });
    const nowMs = performance.now();
    const verdict = judge(samples, {
      ...{ repeat, isOneThread },
      isBrief: nowMs - warmAtMs < runForMs && samples.length < SETTLED_RUNS,
      isOverBudget: nowMs - startedAtMs > budgetMs || samples.length >= runsMax,
    });
    if (verdict !== undefined) return { ...verdict, first, last };
  }
}

/** Whether it matters what a run takes. */
function isExact({ stability, settleMs, runForMs }: Repeat): boolean {
  return stability !== undefined || settleMs !== undefined || runForMs !== undefined;
}

/** Runs that are not timed. @returns what the first one computed; undefined where none was asked for */
async function warmUp(repeat: Repeat, run: () => Promise<Tensors>): Promise<Tensors | undefined> {
  const { settleMs = 0, warmups, budgetMs } = repeat;
  if (warmups === 0) return undefined;
  const startedAtMs = performance.now();
  let first: Tensors | undefined;
  for (let warmup = 0; ; warmup++) {
    const elapsedMs = performance.now() - startedAtMs;
    const isSettled = elapsedMs >= settleMs || warmup >= SETTLED_RUNS;
    if ((warmup >= warmups && isSettled) || elapsedMs > budgetMs) return first;
    const outputs = await run();
    if (isExact(repeat)) freeOutputs();
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
  const early = count(1);
  if (early.isSettled && agreesWithEarlier(early.samplesMs, repeat.stability)) {
    return { samplesMs: early.samplesMs, stable: true };
  }
  const { samplesMs, isSettled } = count(repeat.repeats);
  const isSure = isSettled || repeat.stability === undefined;
  const stop = isSure ? stopAfter(samplesMs, repeat) : undefined;
  const goesOn = stop === undefined || isBrief;
  return goesOn && !isOverBudget ? undefined : { samplesMs, stable: stop === "known" };
}

/** Whether the samples so far suffice, or no more are allowed. */
function stopAfter(samplesMs: readonly number[], repeat: Repeat): "known" | "limit" | undefined {
  const { repeats, stability } = repeat;
  const count = samplesMs.length;
  if (count < repeats) return undefined;
  if (stability === undefined || isStable(samplesMs, stability)) return "known";
  return count >= stability.repeatsMax ? "limit" : undefined;
}
