import { sum } from "simple-statistics";
import type { ModelWorker, Repeat } from "../inference/index.js";
import type { BlockProfile, Profile } from "../protocol/index.js";
import { type Block, bytesOf, chooseBlocks } from "./blocks.js";
import { calibrate, largestErrorPercent, middleOf, type RawBlock } from "./calibrate.js";
import { readMachineState } from "./machine.js";
import { judgeNoise } from "./noise.js";
import type { BenchmarkOptions } from "./options.js";
import { repeatOf } from "./repeat.js";
import { type Measurements, type Statistics, slowedDown, statisticsOf } from "./statistics.js";
import { type BenchmarkDeps, type ModelRequest, withModel } from "./with-model.js";

/** With fewer blocks, a half is a block, and the check tells nothing. */
const BLOCKS_CHECKED_MIN = 3;

/** Of nothing, the whole and both halves. */
const MEASUREMENTS_BESIDE_BLOCKS = 4;

export interface BenchmarkRequest extends ModelRequest {
  node: Profile["node"];
  /** Multiplies every time, to stand for a slower node; recorded in the profile. 1 by default. */
  emulatedSlowdown?: number | undefined;
}

/**
 * Times the whole model and each of its blocks, and checks that the chain of blocks computes what
 * the whole computes. Times are medians of as many repeats as make them certain, in milliseconds;
 * those of the blocks are calibrated, so that they sum to the whole.
 *
 * A profile whose `equality.ok` is false must never be planned with: its split is wrong.
 * @throws AppError MODEL_* | INFERENCE_* | ABORTED
 */
export function benchmarkModel(
  request: BenchmarkRequest,
  options: BenchmarkOptions,
  deps: BenchmarkDeps,
): Promise<Profile> {
  return withModel(request, { options, deps }, async (worker, opened) => {
    const slowdown = request.emulatedSlowdown ?? 1;
    const { blocks, cutsLeftOut } = chooseBlocks(opened, options);
    if (cutsLeftOut > 0) {
      deps.onNote?.(
        `${cutsLeftOut} cut points are left out: ${options.blocksMax} blocks are the limit (blocksMax)`,
      );
    }
    const before = await readMachineState();
    const startedAtMs = deps.clock.monotonicMs();
    const measured = await measureAll(worker, { blocks, options: inTime(options, blocks), deps });
    const noise = judgeNoise(before, await readMachineState(), {
      elapsedMs: deps.clock.monotonicMs() - startedAtMs,
      logicalCores: opened.environment.logicalCores,
      limits: options.noise,
    });
    return {
      model: opened.model,
      ...(opened.externalSha256 === undefined ? {} : { externalSha256: opened.externalSha256 }),
      node: request.node,
      measuredAt: deps.clock.nowMs(),
      environment: { ...opened.environment, emulatedSlowdown: slowdown },
      inputBytes: bytesOf(opened.inputs),
      inputNames: opened.inputs.map(({ name }) => name),
      noise,
      ...slowedDown(measured, slowdown),
    };
  });
}

/** On a busy machine every block may use up its budget: together they must stay within the time limit. */
function inTime(options: BenchmarkOptions, blocks: readonly Block[]): BenchmarkOptions {
  const measurements = blocks.length + MEASUREMENTS_BESIDE_BLOCKS;
  const shareMs = Math.max(1, options.timeoutMs / 2 / measurements);
  return { ...options, blockBudgetMs: Math.min(options.blockBudgetMs, shareMs) };
}

interface MeasuredBlock extends Statistics {
  block: Block;
}

async function measureAll(
  worker: ModelWorker,
  context: { blocks: readonly Block[]; options: BenchmarkOptions; deps: BenchmarkDeps },
): Promise<Measurements> {
  const { blocks, options, deps } = context;
  const total = blocks.length + 1;
  deps.onProgress?.({ done: 0, total, what: "whole model" });
  const exact = repeatOf(options, 0);
  const overhead = statisticsOf(await worker.measure({ kind: "nothing" }, exact));
  const whole = statisticsOf(await worker.measure({ kind: "whole" }, exact));

  // Errors of independent blocks add up as squares: each may be wrong by its share of the whole's.
  const wholeErrorMs = (options.targetPercent / 100) * whole.medianMs;
  const repeat = repeatOf(options, wholeErrorMs / Math.sqrt(blocks.length));
  const measured: MeasuredBlock[] = [];
  for (const block of blocks) {
    const what = `block ${block.index + 1} of ${blocks.length}`;
    deps.onProgress?.({ done: block.index + 1, total, what });
    const { firstLayer, lastLayer } = block;
    const range = await worker.measure({ kind: "range", firstLayer, lastLayer }, repeat);
    measured.push({ block, ...statisticsOf(range) });
  }
  deps.onProgress?.({ done: total, total, what: "comparing" });
  const equality = await worker.compare();
  const { blockMs, calibration } = calibrate(rawBlocksOf(measured), {
    wholeMs: whole.medianMs,
    callOverheadMs: overhead.medianMs,
  });
  const residualPercent = await measureResidual(worker, { blocks, blockMs, repeat });
  const { medianMs: wholeMs, ...wholeRest } = whole;
  return {
    wholeMs,
    whole: wholeRest,
    calibration: { ...calibration, residualPercent },
    blocks: measured.map((one, index) => profileOf(one, blockMs[index] ?? one.medianMs)),
    equality,
  };
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

/** Times both halves of the model, to see how far the calibrated blocks are from the truth there. */
async function measureResidual(
  worker: ModelWorker,
  context: { blocks: readonly Block[]; blockMs: readonly number[]; repeat: Repeat },
): Promise<number | null> {
  const { blocks, blockMs, repeat } = context;
  if (blocks.length < BLOCKS_CHECKED_MIN) return null;
  const middle = middleOf(blockMs);
  const pairs: { predictedMs: number; measuredMs: number }[] = [];
  for (const [start, end] of [
    [0, middle],
    [middle, blocks.length],
  ] as const) {
    const firstLayer = blocks[start]?.firstLayer ?? 0;
    const lastLayer = blocks[end - 1]?.lastLayer ?? 0;
    const half = await worker.measure({ kind: "range", firstLayer, lastLayer }, repeat);
    pairs.push({
      predictedMs: sum(blockMs.slice(start, end)),
      measuredMs: statisticsOf(half).medianMs,
    });
  }
  return largestErrorPercent(pairs);
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
