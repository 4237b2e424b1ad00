import { sum } from "simple-statistics";
import { z } from "zod";
import { type Clock, isAppError } from "../core/index.js";
import type { LayerRange, ModelWorker } from "../inference/index.js";
import {
  type BlockProfile,
  equalitySchema,
  kernelOrderSchema,
  type Profile,
  type SentinelProfile,
  sentinelProfileSchema,
} from "../protocol/index.js";
import { type Block, bytesOf } from "./blocks.js";
import { runChain } from "./chain.js";
import { costOfCuts } from "./cut-cost.js";
import type { BenchmarkOptions } from "./options.js";
import { expecting, repeatOf } from "./repeat.js";
import { cannotBeFed, chooseSentinel, measureSentinel } from "./sentinel-blocks.js";
import {
  areAlike,
  type Measurements,
  slowedDown,
  type Statistics,
  statisticsOf,
  statisticsSchema,
} from "./statistics.js";
import type { Steps } from "./steps.js";
import { type EarlierWhole, takeWhole } from "./whole.js";

/** Runs under the profiler beside the warm-up: of each kernel the fastest counts. */
const PROFILED_RUNS = 2;
/** The same beside a profile from before. */
const PROFILED_RUNS_AGAIN = 1;
/** The profiler counts whole microseconds, which is too coarse for kernels of a faster model. */
const WHOLE_MS_MIN = 0.5;
/** Expected work in runs of the whole model: its own runs, one of the chain, and both halves. */
const WORK = { whole: 6, chain: 4, half: 4, sentinel: 1 };
export const WORK_BY_KERNELS = WORK.whole + WORK.chain + 2 * WORK.half + WORK.sentinel;

interface Context {
  blocks: readonly Block[];
  options: BenchmarkOptions;
  steps: Steps;
  /** A profile of the same model, split and environment: what does not change is not done again. */
  previous: Profile | undefined;
  clock: Pick<Clock, "sleep">;
  signal: AbortSignal;
}

const wholeSchema = z.strictObject({
  whole: statisticsSchema,
  /** Null where the profiler's kernels cannot be brought together with the blocks. */
  blockMs: z.array(z.number().nonnegative()).nullable(),
  reason: z.string(),
  order: kernelOrderSchema.optional(),
});

const chainSchema = z.strictObject({
  equality: equalitySchema,
  /** Of each block. */
  openMs: z.array(z.number().nonnegative()),
});

/**
 * Times the whole model, and shares its time out to the blocks as ONNX Runtime's profile of it tells: no block
 * is timed on its own. Each is run once, to compare the chain with the whole; both halves are timed,
 * to tell what a cut costs and how far the blocks are off. A `previous` profile spares these two.
 * @returns why not, as text, where the profile does not tell the blocks apart; empty text where the
 * model is merely too fast
 */
export async function measureByKernels(
  worker: ModelWorker,
  context: Context,
): Promise<Measurements | string> {
  const { steps, options, previous, clock, signal } = context;
  const {
    whole: first,
    blockMs: kernelMs,
    reason,
    order,
  } = await steps.take({
    name: "whole and kernels",
    what: "whole model",
    work: WORK.whole,
    schema: wholeSchema,
    run: () => profileWhole(worker, context),
  });
  if (kernelMs === null || first.medianMs < WHOLE_MS_MIN) return reason;
  const { equality, ranges } = await verify(worker, context, kernelMs);
  const whole = await takeWhole(first, {
    ...{ worker, steps, clock, signal },
    repeat: repeatOf(options, 0),
    earlier: earlierOf(previous),
  });
  const rawSumMs = sum(kernelMs);
  const factor = rawSumMs > 0 ? whole.medianMs / rawSumMs : 1;
  const blockMs = kernelMs.map((timeMs) => timeMs * factor);
  const cut = await costOfCuts(worker, { ...context, whole, blockMs, work: WORK.half });
  const sentinel = await takeSentinel(worker, context, { ranges, wholeMs: whole.medianMs });
  const { medianMs: wholeMs, ...wholeRest } = whole;
  return {
    wholeMs,
    whole: wholeRest,
    calibration: { method: "kernels", rawSumMs, factor, ...cut },
    blocks: context.blocks.map((block, index) =>
      profileOf(block, {
        ...{ whole, rawMs: kernelMs[index] ?? 0, factor },
        repeats: profiledRuns(previous),
      }),
    ),
    equality,
    ...(order === undefined ? {} : { kernelOrder: order }),
    ...(sentinel === undefined ? {} : { sentinel }),
  };
}

/** What the whole took by the last profile, without what stands for a slower node. */
function earlierOf(previous: Profile | undefined): EarlierWhole | undefined {
  if (previous === undefined) return undefined;
  const { wholeMs, whole, environment } = previous;
  const { emulatedSlowdown } = environment;
  return {
    medianMs: wholeMs / emulatedSlowdown,
    p95Ms: (whole?.p95Ms ?? 0) / emulatedSlowdown,
    spreadMs: (whole?.spreadMs ?? 0) / emulatedSlowdown,
  };
}

function profiledRuns(previous: Profile | undefined): number {
  return previous?.kernelOrder === undefined ? PROFILED_RUNS : PROFILED_RUNS_AGAIN;
}

async function profileWhole(
  worker: ModelWorker,
  { blocks, options, previous }: Context,
): Promise<z.infer<typeof wholeSchema>> {
  const cuts = blocks.slice(0, -1).map((block) => block.lastLayer);
  const order = previous?.kernelOrder;
  const repeat = expecting(repeatOf(options, 0), earlierOf(previous)?.medianMs ?? 0);
  try {
    const { whole, kernels } = await worker.profile({
      ...{ cuts, repeat },
      profiled: profiledRuns(previous),
      ...(order === undefined ? {} : { order }),
    });
    const timed = { whole: statisticsOf(whole) };
    const blockMs = "reason" in kernels ? null : kernels.blockMs;
    const isTooFast = timed.whole.medianMs < WHOLE_MS_MIN;
    const reason = "reason" in kernels && !isTooFast ? kernels.reason : "";
    const found = "reason" in kernels ? undefined : kernels.order;
    return { ...timed, blockMs, reason, ...(found === undefined ? {} : { order: found }) };
  } catch (error) {
    // What the profiler or our reading of the optimised graph cannot do, plain timing may.
    if (!isAppError(error, "INFERENCE_FAILED")) throw error;
    const nothing = { medianMs: 0, p95Ms: 0, spreadMs: 0, repeats: 1, stable: false };
    return { whole: nothing, blockMs: null, reason: error.message };
  }
}

/** Whether the chain is equal to the whole, and the blocks to look at later: as before, or found out. */
async function verify(
  worker: ModelWorker,
  context: Context,
  kernelMs: readonly number[],
): Promise<Pick<Profile, "equality"> & { ranges: readonly LayerRange[] | undefined }> {
  const { blocks, previous } = context;
  if (previous !== undefined) {
    return { equality: previous.equality, ranges: previous.sentinel?.blocks };
  }
  const { equality, openMs } = await checkChain(worker, context);
  const costs = kernelMs.map((timeMs, index) => ({ timeMs, openMs: openMs[index] ?? 0 }));
  return { equality, ranges: chooseSentinel(blocks, costs) };
}

/** Runs every block once, one on the outputs of the other, and compares what the last ones compute. */
function checkChain(
  worker: ModelWorker,
  { blocks, steps }: Context,
): Promise<z.infer<typeof chainSchema>> {
  return steps.take({
    name: "chain",
    what: "comparing the chained blocks with the whole",
    work: WORK.chain,
    schema: chainSchema,
    run: async () => {
      const openMs = await runChain(worker, blocks);
      return { equality: await worker.compare(), openMs };
    },
  });
}

/** What later looks are compared with; as before where the whole takes what it took. */
async function takeSentinel(
  worker: ModelWorker,
  { options, steps, previous, clock, signal }: Context,
  { ranges, wholeMs }: { ranges: readonly LayerRange[] | undefined; wholeMs: number },
): Promise<SentinelProfile | undefined> {
  if (ranges === undefined) return undefined;
  const change = previous === undefined ? 1 : wholeMs / previous.wholeMs;
  const before = previous && slowedDown(previous, change).sentinel;
  const earlierMs = earlierOf(previous)?.medianMs ?? 0;
  if (before !== undefined && areAlike(wholeMs, earlierMs)) return before;
  try {
    return await steps.take({
      name: "sentinel",
      what: "a few blocks to look at later",
      work: WORK.sentinel,
      schema: sentinelProfileSchema,
      run: async () => ({
        blocks: await measureSentinel(worker, ranges, {
          ...{ options, clock, signal },
          before: before?.blocks,
        }),
      }),
    });
  } catch (error) {
    // Not every layer takes made-up values, such as for a length; then the whole is looked at.
    if (cannotBeFed(error)) return undefined;
    throw error;
  }
}

function profileOf(
  block: Block,
  measured: { whole: Statistics; rawMs: number; factor: number; repeats: number },
): BlockProfile {
  const { whole, rawMs, factor, repeats } = measured;
  const medianMs = rawMs * factor;
  return {
    index: block.index,
    firstLayer: block.firstLayer,
    lastLayer: block.lastLayer,
    medianMs,
    rawMedianMs: rawMs,
    stable: whole.stable,
    spreadMs: whole.medianMs > 0 ? (whole.spreadMs * medianMs) / whole.medianMs : 0,
    repeats,
    outputBytes: bytesOf(block.cutTensors),
    cutTensors: [...block.cutTensors],
  };
}
