import type { ModelWorker, Repeat } from "../inference/index.js";
import { type BlockProfile, equalitySchema } from "../protocol/index.js";
import { type Block, bytesOf } from "./blocks.js";
import { runChain } from "./chain.js";
import { calibrate, largestErrorPercent, type RawBlock } from "./calibrate.js";
import { measureHalves } from "./halves.js";
import type { BenchmarkOptions } from "./options.js";
import { repeatOf } from "./repeat.js";
import {
  type Measurements,
  type Statistics,
  statisticsOf,
  statisticsSchema,
} from "./statistics.js";
import type { Step, Steps } from "./steps.js";

/** Of nothing, the whole and both halves. */
const MEASUREMENTS_BESIDE_BLOCKS = 4;

/** Expected work of all steps together, where a block or a half counts as 1. */
export function workBlockByBlock(blocks: readonly Block[]): number {
  return blocks.length + MEASUREMENTS_BESIDE_BLOCKS;
}

interface Context {
  blocks: readonly Block[];
  options: BenchmarkOptions;
  steps: Steps;
}

interface MeasuredBlock extends Statistics {
  block: Block;
}

/** Times nothing, the whole, every block on its own and both halves, and compares the chain. */
export async function measureBlockByBlock(
  worker: ModelWorker,
  context: Context,
): Promise<Measurements> {
  const { blocks, steps } = context;
  const options = inTime(context.options, blocks);
  const exact = repeatOf(options, 0);
  const overhead = await steps.take({
    ...timing("nothing", "an empty call"),
    run: async () => statisticsOf(await worker.measure({ kind: "nothing" }, exact)),
  });
  const whole = await steps.take({
    ...timing("whole", "whole model"),
    run: async () => statisticsOf(await worker.measure({ kind: "whole" }, exact)),
  });
  // Errors of independent blocks add up as squares: each may be wrong by its share of the whole's.
  const wholeErrorMs = (options.targetPercent / 100) * whole.medianMs;
  const repeat = repeatOf(options, wholeErrorMs / Math.sqrt(blocks.length));
  const { measured, equality } = await measureChain(worker, { ...context, repeat });
  const { blockMs, calibration } = calibrate(rawBlocksOf(measured), {
    wholeMs: whole.medianMs,
    callOverheadMs: overhead.medianMs,
  });
  const halves = await measureHalves(worker, { blocks, steps, blockMs, repeat, work: 1 });
  const residualPercent = halves === undefined ? null : largestErrorPercent(halves.pairs);
  const { medianMs: wholeMs, ...wholeRest } = whole;
  return {
    wholeMs,
    whole: wholeRest,
    calibration: { method: "blocks", ...calibration, residualPercent },
    blocks: measured.map((one, index) => profileOf(one, blockMs[index] ?? one.medianMs)),
    equality,
  };
}

/** On a busy machine every block may use up its budget: together they must stay within the time limit. */
function inTime(options: BenchmarkOptions, blocks: readonly Block[]): BenchmarkOptions {
  const shareMs = Math.max(1, options.timeoutMs / 2 / workBlockByBlock(blocks));
  return { ...options, blockBudgetMs: Math.min(options.blockBudgetMs, shareMs) };
}

function timing(name: string, what: string): Omit<Step<Statistics>, "run"> {
  return { name, what, work: 1, schema: statisticsSchema };
}

/** Times every block on what the one before it computed, and compares what the last one computes. */
async function measureChain(
  worker: ModelWorker,
  context: Context & { repeat: Repeat },
): Promise<Pick<Measurements, "equality"> & { measured: MeasuredBlock[] }> {
  const { blocks, steps, repeat } = context;
  const measured: MeasuredBlock[] = [];
  const resumedBefore = steps.resumed;
  for (const block of blocks) {
    const { firstLayer, lastLayer } = block;
    const statistics = await steps.take({
      ...timing(
        `layers ${firstLayer} to ${lastLayer}`,
        `block ${block.index + 1} of ${blocks.length}`,
      ),
      run: async () =>
        statisticsOf(await worker.measure({ kind: "range", firstLayer, lastLayer }, repeat)),
    });
    measured.push({ block, ...statistics });
  }
  const hasGap = steps.resumed > resumedBefore;
  const equality = await steps.take({
    name: "equality",
    what: "comparing",
    work: 0,
    schema: equalitySchema,
    run: async () => {
      if (hasGap) await runChain(worker, blocks);
      return worker.compare();
    },
  });
  return { measured, equality };
}

function rawBlocksOf(measured: readonly MeasuredBlock[]): RawBlock[] {
  const crossing = measured.map(({ block }, index) =>
    index === measured.length - 1 ? 0 : bytesOf(block.cutTensors),
  );
  return measured.map(({ medianMs }, index) => ({
    rawMs: medianMs,
    cutBytesIn: crossing[index - 1] ?? 0,
    cutBytesOut: crossing[index] ?? 0,
  }));
}

function profileOf(measured: MeasuredBlock, calibratedMs: number): BlockProfile {
  const { block, medianMs, ...statistics } = measured;
  return {
    index: block.index,
    firstLayer: block.firstLayer,
    lastLayer: block.lastLayer,
    medianMs: calibratedMs,
    rawMedianMs: medianMs,
    ...statistics,
    outputBytes: bytesOf(block.cutTensors),
    cutTensors: [...block.cutTensors],
  };
}
