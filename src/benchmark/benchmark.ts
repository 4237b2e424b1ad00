import { interquartileRange, median } from "simple-statistics";
import type { ModelWorker, Repeat } from "../inference/index.js";
import type { BlockProfile, Profile } from "../protocol/index.js";
import { type Block, bytesOf, chooseBlocks } from "./blocks.js";
import type { BenchmarkOptions } from "./options.js";
import { type BenchmarkDeps, type ModelRequest, withModel } from "./with-model.js";

export interface BenchmarkRequest extends ModelRequest {
  node: Profile["node"];
  /** Multiplies every time, to stand for a slower node; recorded in the profile. 1 by default. */
  emulatedSlowdown?: number | undefined;
}

/**
 * Times the whole model and each of its blocks, and checks that the chain of blocks computes what
 * the whole computes. Times are medians of the repeats, in milliseconds.
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
    const blocks = chooseBlocks(opened, options);
    const measured = await measureAll(worker, { blocks, options, slowdown, deps });
    return {
      model: opened.model,
      node: request.node,
      measuredAt: deps.clock.nowMs(),
      environment: { ...opened.environment, emulatedSlowdown: slowdown },
      inputBytes: bytesOf(opened.inputs),
      ...measured,
    };
  });
}

async function measureAll(
  worker: ModelWorker,
  context: {
    blocks: readonly Block[];
    options: BenchmarkOptions;
    slowdown: number;
    deps: BenchmarkDeps;
  },
): Promise<Pick<Profile, "wholeMs" | "blocks" | "equality">> {
  const { blocks, options, slowdown, deps } = context;
  const repeat: Repeat = {
    warmups: options.warmups,
    repeats: options.repeats,
    budgetMs: options.blockBudgetMs,
  };
  const total = blocks.length + 1;
  deps.onProgress?.({ done: 0, total, what: "whole model" });
  const whole = await worker.measure({ kind: "whole" }, repeat);
  const profiles: BlockProfile[] = [];
  for (const block of blocks) {
    const { index, firstLayer, lastLayer } = block;
    deps.onProgress?.({ done: index + 1, total, what: `block ${index + 1} of ${blocks.length}` });
    const { samplesMs } = await worker.measure({ kind: "range", firstLayer, lastLayer }, repeat);
    profiles.push(profileOf(block, samplesMs, slowdown));
  }
  deps.onProgress?.({ done: total, total, what: "comparing" });
  return {
    wholeMs: median(whole.samplesMs) * slowdown,
    blocks: profiles,
    equality: await worker.compare(),
  };
}

function profileOf(block: Block, samplesMs: readonly number[], slowdown: number): BlockProfile {
  const samples = [...samplesMs];
  return {
    index: block.index,
    firstLayer: block.firstLayer,
    lastLayer: block.lastLayer,
    medianMs: median(samples) * slowdown,
    spreadMs: Math.abs(interquartileRange(samples)) * slowdown,
    repeats: samples.length,
    outputBytes: bytesOf(block.cutTensors),
    cutTensors: [...block.cutTensors],
  };
}
