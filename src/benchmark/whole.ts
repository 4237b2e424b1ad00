import { mean, sum } from "simple-statistics";
import type { Clock } from "../core/index.js";
import type { ModelWorker, Repeat } from "../inference/index.js";
import { areAlike, type Statistics, statisticsOf, statisticsSchema } from "./statistics.js";
import type { Steps } from "./steps.js";

/** Runs within a moment are alike, and so are moments that follow each other closely. */
const PAUSE_MS = 750;
const MOMENTS_MAX = 3;

/**
 * What the whole model takes, which all its blocks are scaled to, from more than one moment: how long runs
 * take that differ from those of a second before or after shows in none of them. Where an earlier benchmark
 * found about the same that is another moment. Else it is timed again until two are alike, three times at
 * most. Of two the mean counts, of three the middle one.
 * @param first what it takes at this moment, in milliseconds like all
 * @param earlier what the benchmark before found
 */
export async function takeWhole(
  first: Statistics,
  context: Again & { earlier: EarlierWhole | undefined; steps: Steps },
): Promise<Statistics> {
  const { earlier, steps, ...again } = context;
  if (earlier !== undefined && areAlike(first.medianMs, earlier.medianMs)) {
    // One run that agrees tells nothing of how runs differ.
    return {
      ...first,
      medianMs: mean([first.medianMs, earlier.medianMs]),
      p95Ms: Math.max(first.p95Ms, earlier.p95Ms),
      spreadMs: Math.max(first.spreadMs, earlier.spreadMs),
    };
  }
  return steps.take({
    name: "whole at other moments",
    what: "whole model",
    work: 0,
    schema: statisticsSchema,
    run: () => timeAgain(first, again),
  });
}

export type EarlierWhole = Pick<Statistics, "medianMs" | "p95Ms" | "spreadMs">;

interface Again {
  worker: Pick<ModelWorker, "measure">;
  repeat: Repeat;
  clock: Pick<Clock, "sleep">;
  signal: AbortSignal;
}

async function timeAgain(
  first: Statistics,
  { worker, repeat, clock, signal }: Again,
): Promise<Statistics> {
  const moments = [first];
  while (moments.length < MOMENTS_MAX) {
    await clock.sleep(PAUSE_MS, signal);
    const again = statisticsOf(await worker.measure({ kind: "whole" }, repeat));
    moments.push(again);
    if (moments.length === 2 && areAlike(first.medianMs, again.medianMs)) break;
  }
  return joined(moments);
}

/** Of two the mean, of three the middle one. */
function joined(moments: readonly Statistics[]): Statistics {
  const sorted = [...moments].sort((a, b) => a.medianMs - b.medianMs);
  const middle = sorted.length === MOMENTS_MAX ? sorted.slice(1, -1) : sorted;
  return {
    medianMs: mean(middle.map(({ medianMs }) => medianMs)),
    p95Ms: mean(middle.map(({ p95Ms }) => p95Ms)),
    spreadMs: mean(middle.map(({ spreadMs }) => spreadMs)),
    repeats: sum(moments.map(({ repeats }) => repeats)),
    stable: middle.every(({ stable }) => stable),
  };
}
