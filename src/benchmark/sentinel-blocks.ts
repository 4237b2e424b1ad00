import { sum } from "simple-statistics";
import { isAppError } from "../core/index.js";
import {
  type LayerRange,
  MADE_UP_DTYPES,
  type ModelWorker,
  type Repeat,
} from "../inference/index.js";
import type { SentinelProfile } from "../protocol/index.js";
import type { Block } from "./blocks.js";
import type { BenchmarkOptions } from "./options.js";
import { expecting, repeatOf } from "./repeat.js";
import { type Statistics, statisticsOf } from "./statistics.js";

/** Faster models are looked at as a whole: that costs little, and few of their blocks can be timed well. */
const WHOLE_MS_MIN = 20;
/** One block for each part of the model, all of which take equally long. */
const PARTS = 3;
/** Shorter ones are timed too coarsely. */
const BLOCK_MS_MIN = 0.5;
/** Runs of each block that a look takes where little has changed. */
const RUNS = 4;
/** All blocks together, opened and run, beside the whole model run once. */
const COST_MAX = 0.75;
/** Fewest timed runs: what later looks are compared with has to be known well. */
const REPEATS_MIN = 5;

/**
 * A few blocks that tell whether a model has become slower, at a fraction of what it costs to open
 * and run it: of each third of its time the longest block that is cheap enough. Long blocks are
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
  const budgetMs = (COST_MAX * wholeMs) / PARTS;
  const best = new Map<number, { block: Block; timeMs: number }>();
  let startMs = 0;
  for (const [index, block] of blocks.entries()) {
    const { timeMs, openMs } = costs[index] ?? { timeMs: 0, openMs: 0 };
    const part = Math.min(PARTS - 1, Math.floor((PARTS * (startMs + timeMs / 2)) / wholeMs));
    startMs += timeMs;
    const isCheap = timeMs >= BLOCK_MS_MIN && openMs + RUNS * timeMs <= budgetMs;
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

/** What later looks are compared with: each block on its own, on made-up inputs. */
export async function measureSentinel(
  worker: ModelWorker,
  ranges: readonly LayerRange[],
  options: BenchmarkOptions,
): Promise<SentinelProfile["blocks"]> {
  const repeat = briefly({ ...options, repeats: Math.max(options.repeats, REPEATS_MIN) });
  const blocks: SentinelProfile["blocks"] = [];
  for (const { firstLayer, lastLayer } of ranges) {
    const range = { firstLayer, lastLayer };
    const { medianMs } = statisticsOf(await worker.measure({ kind: "alone", ...range }, repeat));
    blocks.push({ ...range, medianMs });
  }
  return blocks;
}

/** Compared with each other only, these times need not be those of a processor that has settled. */
function briefly(options: BenchmarkOptions): Repeat {
  return { ...repeatOf(options, 0), settleMs: 0 };
}

/** Times one of these blocks again. */
export async function lookAt(
  worker: ModelWorker,
  { firstLayer, lastLayer }: LayerRange,
  how: { options: BenchmarkOptions; expectedMs: number },
): Promise<Statistics> {
  const repeat = expecting(briefly(how.options), how.expectedMs);
  return statisticsOf(await worker.measure({ kind: "alone", firstLayer, lastLayer }, repeat));
}
