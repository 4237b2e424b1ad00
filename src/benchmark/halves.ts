import { sum } from "simple-statistics";
import type { ModelWorker, Repeat } from "../inference/index.js";
import type { Block } from "./blocks.js";
import { middleOf } from "./calibrate.js";
import { statisticsOf, statisticsSchema } from "./statistics.js";
import type { Steps } from "./steps.js";

/** With fewer blocks, a half is a block, and the check tells nothing. */
const BLOCKS_CHECKED_MIN = 3;

export interface Halves {
  /** How many blocks the first has. */
  middle: number;
  /** First and second: what the blocks promise, and what the half takes as a model of its own. */
  pairs: { predictedMs: number; measuredMs: number }[];
}

/**
 * Times both halves of the model, to see how far its blocks are from the truth there; undefined for a
 * model of too few blocks. `work`: what a half counts in the progress.
 */
export async function measureHalves(
  worker: ModelWorker,
  context: {
    blocks: readonly Block[];
    blockMs: readonly number[];
    steps: Steps;
    repeat: Repeat;
    work: number;
  },
): Promise<Halves | undefined> {
  const { blocks, blockMs, steps, repeat, work } = context;
  if (blocks.length < BLOCKS_CHECKED_MIN) return undefined;
  const middle = middleOf(blockMs);
  const pairs: Halves["pairs"] = [];
  for (const [start, end] of [
    [0, middle],
    [middle, blocks.length],
  ] as const) {
    const firstLayer = blocks[start]?.firstLayer ?? 0;
    const lastLayer = blocks[end - 1]?.lastLayer ?? 0;
    const half = await steps.take({
      name: `half ${firstLayer} to ${lastLayer}`,
      what: "half of the model",
      work,
      schema: statisticsSchema,
      run: async () =>
        statisticsOf(await worker.measure({ kind: "range", firstLayer, lastLayer }, repeat)),
    });
    pairs.push({ predictedMs: sum(blockMs.slice(start, end)), measuredMs: half.medianMs });
  }
  return { middle, pairs };
}
