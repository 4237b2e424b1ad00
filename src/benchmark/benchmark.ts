import { stat } from "node:fs/promises";
import { AppError, printable } from "../core/index.js";
import type { ModelWorker, OpenedModel } from "../inference/index.js";
import type { Profile } from "../protocol/index.js";
import { measureBlockByBlock, workBlockByBlock } from "./block-by-block.js";
import { type Block, bytesOf, chooseBlocks } from "./blocks.js";
import { measureByKernels, WORK_BY_KERNELS } from "./by-kernels.js";
import { readMachineState } from "./machine.js";
import { judgeNoise } from "./noise.js";
import type { BenchmarkOptions } from "./options.js";
import { type Measurements, slowedDown } from "./statistics.js";
import { openSteps, type Steps } from "./steps.js";
import { conditionsOf, knownOf, whyNotVerified } from "./verified.js";
import { type BenchmarkDeps, type ModelRequest, withModel } from "./with-model.js";

export interface BenchmarkRequest extends ModelRequest {
  node: Profile["node"];
  /** Multiplies every time, to stand for a slower node; recorded in the profile. 1 by default. */
  emulatedSlowdown?: number | undefined;
  /**
   * The last profile of this model on this node. Where model, environment and what else they depend
   * on are still the same, its cuts, the chain's equality and the cost of cuts are taken over.
   */
  previous?: Profile | undefined;
}

/**
 * Times the whole model and shares its time out to the blocks as ONNX Runtime's own profile tells,
 * or, where that cannot be, times each block on its own; and checks that the chain of blocks computes
 * what the whole computes. Times are medians of as many repeats as make them certain, in
 * milliseconds; those of the blocks are calibrated, so that they sum to the whole.
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
  const fileBefore = versionOf(request.path);
  const earlier = request.previous;
  const isVerified =
    earlier !== undefined && whyNotVerified(earlier, request, options) === undefined;
  const known = isVerified ? knownOf(earlier) : undefined;
  return withModel({ ...request, known }, { options, deps }, async (worker, opened, signal) => {
    const slowdown = request.emulatedSlowdown ?? 1;
    const { blocks, cutsLeftOut } = chooseBlocks(opened, options);
    if (cutsLeftOut > 0) {
      deps.onNote?.(
        `${cutsLeftOut} cut points are left out: ${options.blocksMax} blocks are the limit (blocksMax)`,
      );
    }
    const before = await readMachineState();
    const startedAtMs = deps.clock.monotonicMs();
    const environment = { ...opened.environment, emulatedSlowdown: slowdown };
    const previous = opened.wasKnown && isSameSplit(earlier, blocks) ? earlier : undefined;
    const subject = subjectOf(request, { opened, blocks, options });
    const measured = await measure(worker, {
      ...{ opened, blocks, options, previous, subject, signal, deps },
    });
    if ((await versionOf(request.path)) !== (await fileBefore)) {
      throw new AppError(
        "MODEL_CHANGED",
        `${printable(request.path)} changed while it was measured; the times are of what it was before`,
      );
    }
    const noise = judgeNoise(before, await readMachineState(), {
      elapsedMs: deps.clock.monotonicMs() - startedAtMs,
      logicalCores: opened.environment.logicalCores,
      limits: options.noise,
    });
    const conditions = conditionsOf(request, options);
    const verified =
      previous?.verified ??
      (conditions === undefined ? undefined : { at: deps.clock.nowMs(), conditions });
    return {
      model: opened.model,
      ...(opened.externalSha256 === undefined ? {} : { externalSha256: opened.externalSha256 }),
      node: request.node,
      measuredAt: deps.clock.nowMs(),
      environment,
      inputBytes: bytesOf(opened.inputs),
      inputNames: opened.inputs.map(({ name }) => name),
      noise,
      ...(verified === undefined ? {} : { verified }),
      ...slowedDown(measured, slowdown),
    };
  });
}

/** Changes with the file's content, as far as the file system tells; undefined without a file. */
async function versionOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  if (found === undefined) return undefined;
  return [found.dev, found.ino, found.size, found.mtimeNs].join(" ");
}

interface MeasureContext {
  opened: OpenedModel;
  blocks: readonly Block[];
  options: BenchmarkOptions;
  /** The last profile, where it is of the same blocks. */
  previous: Profile | undefined;
  subject: unknown;
  signal: AbortSignal;
  deps: BenchmarkDeps;
}

/** By kernels where they tell the blocks apart, else block by block. */
async function measure(worker: ModelWorker, context: MeasureContext): Promise<Measurements> {
  const { opened, blocks, options, previous, subject, signal, deps } = context;
  // One block takes what the whole takes; and only the CPU's own profile was found to be true.
  const { provider } = opened.environment;
  const mayTellApart = blocks.length > 1 && provider === "cpu" && !options.cutInsideFusions;
  const openFor = (totalWork: number): Promise<Steps> =>
    openSteps(subject, { ...context, totalWork });
  let steps = await openFor(mayTellApart ? WORK_BY_KERNELS : workBlockByBlock(blocks));
  if (mayTellApart) {
    const measured = await measureByKernels(worker, {
      ...{ blocks, options, steps, previous, signal },
      clock: deps.clock,
    });
    if (typeof measured !== "string") {
      await steps.finish();
      return measured;
    }
    if (measured !== "") {
      deps.onNote?.(`every block is timed on its own, which takes longer: ${measured}`);
    }
    steps = await openFor(workBlockByBlock(blocks));
  }
  const measured = await measureBlockByBlock(worker, { blocks, options, steps });
  await steps.finish();
  return measured;
}

/** Whether the earlier profile is of the same blocks. */
function isSameSplit(previous: Profile | undefined, blocks: readonly Block[]): boolean {
  return JSON.stringify(layoutOf(previous?.blocks ?? [])) === JSON.stringify(layoutOf(blocks));
}

/** Where the blocks begin and end, and what crosses between them, with its shapes. */
function layoutOf(blocks: readonly Pick<Block, "firstLayer" | "lastLayer" | "cutTensors">[]) {
  return blocks.map(({ firstLayer, lastLayer, cutTensors }) => [
    firstLayer,
    lastLayer,
    cutTensors.map(({ name, dtype, shape }) => [name, dtype, shape]),
  ]);
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
