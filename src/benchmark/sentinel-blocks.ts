import { median, min, sum } from "simple-statistics";
import { type Clock, isAppError } from "../core/index.js";
import {
  type LayerRange,
  MADE_UP_DTYPES,
  type ModelWorker,
  type Repeat,
} from "../inference/index.js";
import type { SentinelProfile } from "../protocol/index.js";
import type { Block } from "./blocks.js";
import type { BenchmarkOptions } from "./options.js";
import { repeatOf } from "./repeat.js";
import { areAlike } from "./statistics.js";

/** Faster models are looked at as a whole: that costs little, and few of their blocks can be timed well. */
const WHOLE_MS_MIN = 20;
/** One block for each part of the model, all of which take equally long. */
const PARTS = 2;
/** Shorter ones are timed too coarsely, and tell of too little. */
const BLOCK_MS_MIN = 0.5;
const BLOCK_SHARE_MIN = 0.02;
/** Timed runs of each block in one glance, behind one that is not timed. */
const RUNS = 3;
/** All blocks together, opened and run, beside the whole model run once. */
const COST_MAX = 0.75;
/** Moments that follow each other closely are alike. */
const PAUSE_MS = 500;
/** So often the blocks are glanced at where the first glance does not show what was expected. */
const GLANCES_MAX = 3;

/**
 * A few blocks that tell whether a model has become slower, at a fraction of what it costs to open
 * and run it: of each half of its time the longest block that is cheap enough. Long blocks are
 * where the time goes, and their times scatter least.
 * @param costs of each block: its time within the whole, and what it took to open it
 * @returns undefined where the whole had better be looked at
 */
export function chooseSentinel(
  blocks: readonly Block[],
  costs: readonly { timeMs: number; openMs: number }[],
): LayerRange[] | undefined {
  const wholeMs = sum(costs.map(({ timeMs }) => timeMs));
  if (wholeMs < WHOLE_MS_MIN) return undefined;
  const blockMsMin = Math.max(BLOCK_MS_MIN, BLOCK_SHARE_MIN * wholeMs);
  const budgetMs = (COST_MAX * wholeMs) / PARTS;
  const best = new Map<number, { block: Block; timeMs: number }>();
  let startMs = 0;
  for (const [index, block] of blocks.entries()) {
    const { timeMs, openMs } = costs[index] ?? { timeMs: 0, openMs: 0 };
    const part = Math.min(PARTS - 1, Math.floor((PARTS * (startMs + timeMs / 2)) / wholeMs));
    startMs += timeMs;
    const isCheap = timeMs >= blockMsMin && openMs + (1 + RUNS) * timeMs <= budgetMs;
    if (!isCheap || !canBeFed(blocks[index - 1])) continue;
    if (timeMs > (best.get(part)?.timeMs ?? 0)) best.set(part, { block, timeMs });
  }
  if (best.size === 0) return undefined;
  const chosen = [...best.values()].sort((a, b) => a.block.index - b.block.index);
  return chosen.map(({ block: { firstLayer, lastLayer } }) => ({ firstLayer, lastLayer }));
}

/** The first block is fed what the model is; the others what is made up, which indices cannot be. */
function canBeFed(before: Block | undefined): boolean {
  return before?.cutTensors.every(({ dtype }) => MADE_UP_DTYPES.has(dtype)) ?? true;
}

/** Whether layers refused what was made up for them. */
export function cannotBeFed(error: unknown): boolean {
  return isAppError(error, "INFERENCE_FAILED") || isAppError(error, "MODEL_INPUT_INVALID");
}

interface How {
  options: BenchmarkOptions;
  clock: Pick<Clock, "sleep">;
  signal: AbortSignal;
}

/** Blocks that were glanced at. */
export interface Glanced {
  /** Of each, in milliseconds. */
  timesMs: number[];
  /** Whether they are as fast as expected, or most glances agree that they are not. */
  stable: boolean;
}

/**
 * The time of each block on its own, on made-up inputs: of one glance the fastest run counts, as
 * what disturbs a run lengthens it. Where all together are off what is expected by more than
 * `tolerancePercent`, that may be of the moment: then two more glances are taken, each a while later, and the
 * median counts.
 */
export async function glanceAt(
  worker: Pick<ModelWorker, "measure">,
  ranges: readonly LayerRange[],
  how: How & { expectedMs: number | undefined; tolerancePercent: number },
): Promise<Glanced> {
  const { options, clock, signal, expectedMs, tolerancePercent } = how;
  const tolerated = 1 + tolerancePercent / 100;
  const glances: number[][] = [];
  while (glances.length < GLANCES_MAX) {
    if (glances.length > 0) await clock.sleep(PAUSE_MS, signal);
    const timesMs: number[] = [];
    for (const { firstLayer, lastLayer } of ranges) {
      const target = { kind: "alone", firstLayer, lastLayer } as const;
      timesMs.push(min((await worker.measure(target, aFew(options))).samplesMs));
    }
    if (expectedMs !== undefined && areAlike(sum(timesMs), expectedMs, tolerated)) {
      return { timesMs, stable: true };
    }
    glances.push(timesMs);
  }
  const sumsMs = glances.map((timesMs) => sum(timesMs));
  const agreeing = sumsMs.filter((oneMs) => areAlike(oneMs, median(sumsMs), tolerated));
  return {
    timesMs: ranges.map((_, index) => median(glances.map((timesMs) => timesMs[index] ?? 0))),
    stable: agreeing.length > GLANCES_MAX / 2,
  };
}

/** How certain they are is for several glances to tell: they need not be those of a model that has settled. */
function aFew(options: BenchmarkOptions): Repeat {
  const few = { ...options, warmups: 1, repeats: RUNS, repeatsMax: RUNS };
  return { ...repeatOf(few, 0), settleMs: 0, runForMs: 0 };
}

/**
 * What later looks are compared with.
 * @param before what a benchmark found before, on a processor as fast as this one
 */
export async function measureSentinel(
  worker: ModelWorker,
  ranges: readonly LayerRange[],
  how: How & { before: SentinelProfile["blocks"] | undefined },
): Promise<SentinelProfile["blocks"]> {
  const { before } = how;
  const expectedMs = before && sum(before.map(({ medianMs }) => medianMs));
  const tolerancePercent = how.options.targetPercent;
  const { timesMs } = await glanceAt(worker, ranges, { ...how, expectedMs, tolerancePercent });
  return ranges.map(({ firstLayer, lastLayer }, index) => {
    return { firstLayer, lastLayer, medianMs: timesMs[index] ?? 0 };
  });
}
