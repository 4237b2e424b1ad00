import type { Tensor } from "onnxruntime-node";
import { AppError, printable } from "../core/index.js";
import {
  extractSubModel,
  type OnnxModel,
  type SubModel,
  tensorsAcross,
  withExtraOutputs,
} from "../model/index.js";
import type { CutPointInfo, TensorInfo } from "../protocol/index.js";
import { blocksInOrder, blocksOfKernels } from "./child-kernels.js";
import { madeUpInputs } from "./child-inputs.js";
import type { Optimised, ProfiledSession } from "./child-optimised.js";
import { openSession, type Session } from "./child-session.js";
import { fromHalf, infoOf, type Tensors } from "./child-tensors.js";
import { tinyModel } from "./child-tiny.js";
import { type ComparedTensor, compareTensors, worstOf } from "./compare.js";
import { type TimedRuns, timeRuns } from "./child-runs.js";
import type {
  ChildConfig,
  Compared,
  LayerRange,
  Measured,
  MeasureTarget,
  Profiled,
  ProfileRequest,
  Repeat,
} from "./messages.js";
import type { Processor } from "./processor.js";

interface Context {
  /** The model for the shapes of its inputs; without them, as far as sessions of the whole go. */
  bound: () => Promise<OnnxModel>;
  /** The whole model, external data included. */
  bytes: Uint8Array;
  config: ChildConfig;
  optimised: Optimised;
  processor: Processor;
  feeds: Tensors;
  types: Map<string, TensorInfo>;
  cutPoints: readonly CutPointInfo[];
  outputs: readonly TensorInfo[];
}

interface Measurer {
  /** The range as a model of its own. */
  part(range: LayerRange): Promise<SubModel>;
  measure(target: MeasureTarget, repeat: Repeat): Promise<Measured>;
  profile(request: ProfileRequest): Promise<Profiled>;
  compare(): Promise<Compared>;
}

/** Times the model and its parts on one table of tensors, which chains the parts. */
export function createMeasurer(context: Context): Measurer {
  const { config, feeds, types } = context;
  const outputNames = context.outputs.map((output) => output.name);
  const table: Tensors = new Map(feeds);
  /** What crosses into ranges measured out of order: they may be measured again. */
  const fetched = new Set<string>();
  let reference: Tensors | undefined;

  const measureWhole = async (repeat: Repeat): Promise<Measured> => {
    const fed = { feeds, outputs: outputNames };
    const timed = await timeSession(context.bytes, context, { repeat, ...fed });
    refuseUnstable(timed, config.relativeTolerance);
    reference = timed.last;
    return describeRuns(timed);
  };

  const profileWhole = async (request: ProfileRequest): Promise<Profiled> => {
    const { timed, kernels } = await timeKernels(context, request, outputNames);
    refuseUnstable(timed, config.relativeTolerance);
    reference = timed.last;
    return { whole: describeRuns(timed), kernels };
  };

  const measureNothing = async (repeat: Repeat): Promise<Measured> => {
    const { bytes, ...fed } = tinyModel();
    const timed = await timeSession(bytes, context, { repeat, ...fed });
    return describeRuns(timed);
  };

  const measureRange = async (range: LayerRange, repeat: Repeat): Promise<Measured> => {
    for (const name of await fetchMissing(context, table, await neededFor(range, context))) {
      fetched.add(name);
    }
    const part = await partOf(range, context);
    const fed = { feeds: table, outputs: part.outputs };
    const timed = await timeSession(part.bytes, context, { repeat, ...fed });
    const crossing = context.cutPoints.find((cut) => cut.afterLayer === range.lastLayer);
    // Its own inputs too, in case it is measured again.
    const own = [...part.inputs, ...part.outputs];
    const kept = new Set([...feeds.keys(), ...outputNames, ...fetched, ...own]);
    for (const tensor of crossing?.tensors ?? []) kept.add(tensor.name);
    for (const name of table.keys()) if (!kept.has(name)) table.delete(name);
    for (const [name, tensor] of timed.last) table.set(name, tensor);
    return describeRuns(timed);
  };

  const measureAlone = async (range: LayerRange, repeat: Repeat): Promise<Measured> => {
    const part = await partOf(range, context);
    const madeUp = madeUpInputs(part.inputs, { feeds, types, seed: config.inputSeed });
    const fed = { feeds: madeUp, outputs: part.outputs };
    return describeRuns(await timeSession(part.bytes, context, { repeat, ...fed }));
  };

  return {
    part: (range) => partOf(range, context),
    measure(target, repeat) {
      switch (target.kind) {
        case "whole":
          return measureWhole(repeat);
        case "range":
          return measureRange(target, repeat);
        case "alone":
          return measureAlone(target, repeat);
        case "nothing":
          return measureNothing(repeat);
      }
    },
    profile: profileWhole,
    async compare() {
      reference ??= await withSession(context.bytes, config, (session) =>
        session.run(feeds, outputNames),
      );
      return compareOutputs(reference, table, config.relativeTolerance);
    },
  };
}

/**
 * Compares every tensor of `expected` with the one of that name in `actual`.
 * @throws AppError INTERNAL when `actual` lacks one: the chain was not run to its end
 */
export function compareOutputs(
  expected: Tensors,
  actual: Tensors,
  relativeTolerance: number,
): Compared {
  const comparisons = [...expected].map(([name, tensor]) => {
    const chained = actual.get(name);
    if (chained === undefined) {
      throw new AppError("INTERNAL", `the chained parts did not produce ${printable(name)}`);
    }
    return compareTensors(comparable(tensor), comparable(chained), relativeTolerance);
  });
  return worstOf(comparisons);
}

/** A model without layers passes inputs or constants on; its one block is the model itself. */
async function partOf(range: LayerRange, context: Context): Promise<SubModel> {
  const { bytes, feeds, types, outputs } = context;
  const model = await context.bound();
  return model.layers.length === 0
    ? { bytes, inputs: [...feeds.keys()], outputs: outputs.map(({ name }) => name) }
    : extractSubModel(model, range, types);
}

/** Its inputs, and outputs of a type not known yet, as where no cut points were looked for. */
async function neededFor(range: LayerRange, { bound, feeds, types }: Context): Promise<string[]> {
  const model = await bound();
  if (model.layers.length === 0) return [...feeds.keys()];
  const { inputs, outputs } = tensorsAcross(model, range);
  return [...inputs, ...outputs.filter((name) => !types.has(name))];
}

interface TimedSession extends TimedRuns {
  /** How long the session took to open. */
  openMs: number;
}

/** Opens a model as a user would have it, and times its runs. */
async function timeSession(
  bytes: Uint8Array,
  { config, processor }: Pick<Context, "config" | "processor">,
  how: { repeat: Repeat; feeds: Tensors; outputs: readonly string[] },
): Promise<TimedSession> {
  const startedAtMs = performance.now();
  return withSession(bytes, config, async (session) => {
    const openMs = performance.now() - startedAtMs;
    const run = (): Promise<Tensors> => session.run(how.feeds, how.outputs);
    return { ...(await timeRuns(how.repeat, processor, run)), openMs };
  });
}

/** NaN equals NaN in a comparison, and a model that yields nothing else would pass with any split. */
function refuseNaN(name: string, { data }: ComparedTensor): void {
  if (!ArrayBuffer.isView(data)) return;
  for (let index = 0; index < data.length; index++) {
    if (!Number.isNaN(data[index])) continue;
    throw new AppError(
      "MODEL_NOT_A_NUMBER",
      `output ${printable(name)} of the whole model is NaN at element ${index}; give inputs that the model was made for, as a range or a file`,
    );
  }
}

function tensorsAt(afterLayer: number, cutPoints: readonly CutPointInfo[]): string[] {
  const cut = cutPoints.find((one) => one.afterLayer === afterLayer);
  if (cut === undefined) throw new AppError("INTERNAL", `no cut after layer ${afterLayer}`);
  return cut.tensors.map((tensor) => tensor.name);
}

/** Runs the whole model under the profiler and then without it, in one session. */
async function timeKernels(
  { optimised, processor, feeds, cutPoints }: Context,
  { profiled, repeat, cuts, order }: ProfileRequest,
  outputNames: readonly string[],
): Promise<{ timed: TimedSession; kernels: Profiled["kernels"] }> {
  const timeBoth = async ({ session, openMs, endProfiling }: ProfiledSession) => {
    const run = (): Promise<Tensors> => session.run(feeds, outputNames);
    try {
      const few = { ...repeat, repeats: profiled, stability: undefined };
      const { first } = await timeRuns(few, processor, run);
      const profile = endProfiling();
      const timed = await timeRuns({ ...repeat, warmups: 0 }, processor, run);
      return { timed: { ...timed, first, openMs }, profile };
    } finally {
      await session.release();
    }
  };
  if (order !== undefined) {
    const { timed, profile } = await timeBoth(await optimised.takeSession());
    const kernels = blocksInOrder(profile, order, cuts.length + 1);
    if (kernels !== undefined) return { timed, kernels };
  }
  const whole = await optimised.take();
  const { timed, profile } = await timeBoth(whole);
  const tensors = cuts.map((afterLayer) => tensorsAt(afterLayer, cutPoints));
  const kernels = await blocksOfKernels({ graph: whole.graph, profile }, optimised, tensors);
  return { timed, kernels };
}

/** A split of a model that never computes the same twice cannot be checked. */
function refuseUnstable(timed: TimedRuns, relativeTolerance: number): void {
  for (const [name, tensor] of timed.last) refuseNaN(name, comparable(tensor));
  const compared = compareOutputs(timed.first, timed.last, relativeTolerance);
  if (compared.ok) return;
  throw new AppError(
    "MODEL_UNSTABLE",
    `two runs of the whole model on the same input differ by up to ${compared.maxAbsoluteError}: it is random or keeps state, so no split of it can be checked`,
  );
}

/** For ranges measured out of order: what crosses into them comes from the whole model. @returns what was missing */
async function fetchMissing(
  context: Context,
  table: Tensors,
  names: readonly string[],
): Promise<readonly string[]> {
  const missing = names.filter((name) => !table.has(name));
  if (missing.length === 0) return missing;
  const bytes = withExtraOutputs(await context.bound(), missing);
  const fetched = await withSession(bytes, context.config, (session) =>
    session.run(context.feeds, missing),
  );
  for (const [name, tensor] of fetched) {
    table.set(name, tensor);
    if (!context.types.has(name)) context.types.set(name, infoOf(name, tensor));
  }
  return missing;
}

async function withSession<T>(
  bytes: Uint8Array,
  config: ChildConfig,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(bytes, config, { optimisation: "all" });
  try {
    return await use(session);
  } finally {
    await session.release();
  }
}

function describeRuns(timed: TimedSession): Measured {
  const outputs = [...timed.last].map(([name, tensor]) => infoOf(name, tensor));
  const { samplesMs, stable, openMs } = timed;
  return { samplesMs, stable, openMs, outputs };
}

/** Half-precision data arrives as raw bits where the platform has no Float16Array. */
function comparable(tensor: Tensor): ComparedTensor {
  const { data } = tensor;
  const isRawHalf = tensor.type === "float16" && data instanceof Uint16Array;
  const numbers = isRawHalf ? Float32Array.from(data, fromHalf) : data;
  return { dtype: tensor.type, shape: tensor.dims, data: numbers };
}
