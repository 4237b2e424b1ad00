import type { OpenedModel } from "../inference/index.js";
import type { Profile } from "../protocol/index.js";
import { measureBlockByBlock, workBlockByBlock } from "./block-by-block.js";
import { type Block, bytesOf, chooseBlocks } from "./blocks.js";
import { readMachineState } from "./machine.js";
import { judgeNoise } from "./noise.js";
import type { BenchmarkOptions } from "./options.js";
import { slowedDown } from "./statistics.js";
import { openSteps } from "./steps.js";
import { type BenchmarkDeps, type ModelRequest, withModel } from "./with-model.js";

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
 * With `deps.checkpoint`, a benchmark that was stopped goes on where it was; with `deps.beforeStep`
 * it can be made to wait between any two measurements. The time limit counts such waiting.
 *
 * A profile whose `equality.ok` is false must never be planned with: its split is wrong.
 * @throws AppError MODEL_* | INFERENCE_* | ABORTED
 */
export function benchmarkModel(
  request: BenchmarkRequest,
  options: BenchmarkOptions,
  deps: BenchmarkDeps,
): Promise<Profile> {
  return withModel(request, { options, deps }, async (worker, opened, signal) => {
    const slowdown = request.emulatedSlowdown ?? 1;
    const { blocks, cutsLeftOut } = chooseBlocks(opened, options);
    if (cutsLeftOut > 0) {
      deps.onNote?.(
        `${cutsLeftOut} cut points are left out: ${options.blocksMax} blocks are the limit (blocksMax)`,
      );
    }
    const before = await readMachineState();
    const startedAtMs = deps.clock.monotonicMs();
    const subject = subjectOf(request, { opened, blocks, options });
    const steps = await openSteps(subject, { totalWork: workBlockByBlock(blocks), signal, deps });
    const measured = await measureBlockByBlock(worker, { blocks, options, steps });
    await steps.finish();
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

/** Everything that the results of the steps depend on. */
function subjectOf(
  request: BenchmarkRequest,
  context: { opened: OpenedModel; blocks: readonly Block[]; options: BenchmarkOptions },
): unknown {
  const { opened, blocks, options } = context;
  const { warmups, repeats, repeatsMax, targetPercent, confidence, blockBudgetMs } = options;
  const { niceness, inputSeed, relativeTolerance, environment } = options.inference;
  return [
    [opened.model.sha256, opened.externalSha256, opened.environment, opened.inputs],
    [request.inputs, request.inputFiles],
    blocks.map(({ firstLayer, lastLayer }) => [firstLayer, lastLayer]),
    [warmups, repeats, repeatsMax, targetPercent, confidence, blockBudgetMs],
    [niceness, inputSeed, relativeTolerance, environment],
  ];
}
