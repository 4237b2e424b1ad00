import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { AppError, isAppError } from "../core/index.js";
import { type GraphOutline, outlineOf } from "../model/index.js";
import type { CutPointInfo } from "../protocol/index.js";
import { refuseUnstable } from "./child-compare.js";
import { blocksInOrder, blocksNamed, blocksOfKernels } from "./child-kernels.js";
import { type Draft, type Kept, type KeptModel, keeping } from "./child-kept.js";
import { type Optimised, type ProfiledSession, underProfiler } from "./child-optimised.js";
import { type TimedSession, timeRuns } from "./child-runs.js";
import type { Tensors } from "./child-tensors.js";
import type { ChildConfig, KernelOrder, Profiled, ProfileRequest } from "./messages.js";
import { isOneThread } from "./options.js";

/** What it takes to time the kernels of a model. */
export interface KernelContext {
  /** The whole model, external data included. */
  bytes: Uint8Array;
  config: ChildConfig;
  optimised: Optimised;
  /** Present where the model was benchmarked before, and what is made of it may be kept. */
  kept: Kept | undefined;
  noted: KeptModel;
  feeds: Tensors;
  cutPoints: readonly CutPointInfo[];
}

type TimedKernels = { timed: TimedSession; kernels: Profiled["kernels"] };

/** Times of blocks by the kernels of the whole model, in the cheapest way that tells them. */
export async function timeKernels(
  context: KernelContext,
  request: ProfileRequest,
  outputNames: readonly string[],
): Promise<TimedKernels> {
  const { optimised } = context;
  const { order } = request;
  if (order !== undefined) {
    const known =
      (await timeKept(context, { request, order, outputNames })) ??
      (await timeKnown(context, { request, order, outputNames }));
    if (known !== undefined) return known;
  }
  const whole = await optimised.take();
  const { timed, profile } = await timeBoth(whole, context, { request, outputNames });
  const found = await blocksByGraph({ graph: whole.graph, profile }, context, request);
  return { timed, kernels: asKernels(found) };
}

type Found = Awaited<ReturnType<typeof blocksOfKernels>>;

function blocksByGraph(
  run: Parameters<typeof blocksOfKernels>[0],
  { optimised, cutPoints }: KernelContext,
  { cuts }: ProfileRequest,
): Promise<Found> {
  const tensors = cuts.map((afterLayer) => tensorsAt(afterLayer, cutPoints));
  return blocksOfKernels(run, optimised, tensors);
}

function asKernels(found: Found): Profiled["kernels"] {
  if ("reason" in found) return { reason: found.reason };
  const { blockMs, order } = found;
  return { blockMs, ...(order === undefined ? {} : { order }) };
}

interface KnownOrder {
  request: ProfileRequest;
  order: KernelOrder;
  outputNames: readonly string[];
}

/** The same with what was kept of the model; undefined where that is nothing, or not what it was. */
async function timeKept(
  context: KernelContext,
  { request, order, outputNames }: KnownOrder,
): Promise<TimedKernels | undefined> {
  const { kept, config } = context;
  const noted = kept?.kernels();
  if (kept === undefined || noted === undefined) return undefined;
  if (!isDeepStrictEqual(noted.order, order)) return undefined;
  try {
    const opened = await underProfiler(config, (_, profiling) => kept.open("whole", profiling));
    const { timed, profile } = await timeBoth(opened, context, { request, outputNames });
    refuseUnstable(timed, config.relativeTolerance);
    const blockMs = blocksNamed(profile, new Map(noted.blockOf), request.cuts.length + 1);
    if (blockMs !== undefined) return { timed, kernels: { blockMs, order } };
  } catch (error) {
    if (!isAppError(error)) throw error;
  }
  kept.forget("whole");
  return undefined;
}

/**
 * The same with the model itself, which is kept. Some graphs ONNX Runtime puts into another order in each
 * process: then the graph tells the blocks once more, and what is kept has its order for good.
 */
async function timeKnown(
  context: KernelContext,
  { request, order, outputNames }: KnownOrder,
): Promise<TimedKernels | undefined> {
  const { bytes, optimised, kept, noted, feeds } = context;
  return keeping(kept?.draft("whole", bytes.byteLength), async (draft) => {
    const opened = await optimised.takeSession(draft);
    const { timed, profile } = await timeBoth(opened, context, { request, outputNames });
    const known = blocksInOrder(profile, order, request.cuts.length + 1);
    const found: Found | undefined =
      known === undefined
        ? draft && (await blocksByGraph({ graph: graphOf(draft), profile }, context, request))
        : { ...known, order };
    if (found === undefined || "reason" in found || found.order === undefined) {
      draft?.drop();
      return undefined;
    }
    const kernels = { order: found.order, blockOf: [...(found.blockOf ?? [])] };
    draft?.commit({ model: noted, inputs: new Set(feeds.keys()), kernels });
    return { timed, kernels: asKernels(found) };
  });
}

/** What ONNX Runtime wrote of a session. */
function graphOf({ optimisedModelPath }: Draft): GraphOutline {
  return outlineOf(readFileSync(optimisedModelPath));
}

/** Runs the whole model under the profiler, where it also warms up, and then without it, in one session. */
async function timeBoth(
  { session, openMs, endProfiling }: ProfiledSession,
  { config, feeds }: KernelContext,
  how: { request: ProfileRequest; outputNames: readonly string[] },
): Promise<{ timed: TimedSession; profile: string | undefined }> {
  const { repeat, profiled } = how.request;
  const run = (): Promise<Tensors> => session.run(feeds, how.outputNames);
  try {
    const { warmups, settleMs, budgetMs } = repeat;
    const few = { warmups: warmups + profiled - 1, settleMs, repeats: 1, budgetMs };
    const { first } = await timeRuns(few, isOneThread(config), run);
    const profile = endProfiling();
    const timed = await timeRuns({ ...repeat, warmups: 0 }, isOneThread(config), run);
    return { timed: { ...timed, first, openMs }, profile };
  } finally {
    await session.release();
  }
}

function tensorsAt(afterLayer: number, cutPoints: readonly CutPointInfo[]): string[] {
  const cut = cutPoints.find((one) => one.afterLayer === afterLayer);
  if (cut === undefined) throw new AppError("INTERNAL", `no cut after layer ${afterLayer}`);
  return cut.tensors.map((tensor) => tensor.name);
}
