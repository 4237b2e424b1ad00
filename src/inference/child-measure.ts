import type { Tensor } from "onnxruntime-node";
import { AppError, printable } from "../core/index.js";
import {
  extractSubModel,
  type OnnxModel,
  type SubModel,
  withExtraOutputs,
} from "../model/index.js";
import type { CutPointInfo, TensorInfo } from "../protocol/index.js";
import { blocksOfKernels } from "./child-kernels.js";
import type { Optimised } from "./child-optimised.js";
import { openSession, type Session } from "./child-session.js";
import { fromHalf, infoOf, type Tensors } from "./child-tensors.js";
import { tinyModel } from "./child-tiny.js";
import { type ComparedTensor, compareTensors, worstOf } from "./compare.js";
import { type Processor, type TimedRuns, timeRuns } from "./child-runs.js";
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

interface Context {
  model: OnnxModel;
  /** The whole model, external data included. */
  bytes: Uint8Array;
  config: ChildConfig;
  optimised: Optimised;
  processor: Processor;
  feeds: Tensors;
  types: ReadonlyMap<string, TensorInfo>;
  cutPoints: readonly CutPointInfo[];
  outputs: readonly TensorInfo[];
}

interface Measurer {
  /** The range as a model of its own. */
  part(range: LayerRange): SubModel;
  measure(target: MeasureTarget, repeat: Repeat): Promise<Measured>;
  profile(request: ProfileRequest): Promise<Profiled>;
  compare(): Promise<Compared>;
}

/** Times the model and its parts on one table of tensors, which chains the parts. */
export function createMeasurer(context: Context): Measurer {
  const { model, config, feeds, types, processor } = context;
  const outputNames = context.outputs.map((output) => output.name);
  const table: Tensors = new Map(feeds);
  let reference: Tensors | undefined;

  const measureWhole = async (repeat: Repeat): Promise<Measured> => {
    const timed = await withSession(context.bytes, config, (session) =>
      timeRuns(repeat, processor, () => session.run(feeds, outputNames)),
    );
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
    const tiny = tinyModel();
    const timed = await withSession(tiny.bytes, config, (session) =>
      timeRuns(repeat, processor, () => session.run(tiny.feeds, tiny.outputs)),
    );
    return describeRuns(timed);
  };

  // A model without layers passes inputs or constants on; its one block is the model itself.
  const partOf = (range: LayerRange): SubModel =>
    model.layers.length === 0
      ? { bytes: context.bytes, inputs: [...feeds.keys()], outputs: outputNames }
      : extractSubModel(model, range, types);

  const measureRange = async (range: LayerRange, repeat: Repeat): Promise<Measured> => {
    const part = partOf(range);
    await fetchMissing(context, table, part.inputs);
    const timed = await withSession(part.bytes, config, (session) =>
      timeRuns(repeat, processor, () => session.run(table, part.outputs)),
    );
    const crossing = context.cutPoints.find((cut) => cut.afterLayer === range.lastLayer);
    // Its own inputs too, in case it is measured again.
    const kept = new Set([...feeds.keys(), ...outputNames, ...part.inputs, ...part.outputs]);
    for (const tensor of crossing?.tensors ?? []) kept.add(tensor.name);
    for (const name of table.keys()) if (!kept.has(name)) table.delete(name);
    for (const [name, tensor] of timed.last) table.set(name, tensor);
    return describeRuns(timed);
  };

  return {
    part: partOf,
    measure(target, repeat) {
      switch (target.kind) {
        case "whole":
          return measureWhole(repeat);
        case "range":
          return measureRange(target, repeat);
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
  { profiled, repeat, cuts }: ProfileRequest,
  outputNames: readonly string[],
): Promise<{ timed: TimedRuns; kernels: Profiled["kernels"] }> {
  const { session, graph, endProfiling } = await optimised.take();
  const run = (): Promise<Tensors> => session.run(feeds, outputNames);
  try {
    const few = { ...repeat, repeats: profiled, stability: undefined };
    const { first } = await timeRuns(few, processor, run);
    const profile = endProfiling();
    const timed = { ...(await timeRuns({ ...repeat, warmups: 0 }, processor, run)), first };
    const tensors = cuts.map((afterLayer) => tensorsAt(afterLayer, cutPoints));
    return { timed, kernels: await blocksOfKernels({ graph, profile }, optimised, tensors) };
  } finally {
    await session.release();
  }
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

/** For ranges measured out of order: what crosses into them comes from the whole model. */
async function fetchMissing(
  context: Context,
  table: Tensors,
  names: readonly string[],
): Promise<void> {
  const missing = names.filter((name) => !table.has(name));
  if (missing.length === 0) return;
  const bytes = withExtraOutputs(context.model, missing);
  const fetched = await withSession(bytes, context.config, (session) =>
    session.run(context.feeds, missing),
  );
  for (const [name, tensor] of fetched) table.set(name, tensor);
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

function describeRuns(timed: TimedRuns): Measured {
  const outputs = [...timed.last].map(([name, tensor]) => infoOf(name, tensor));
  return { samplesMs: timed.samplesMs, stable: timed.stable, slowed: timed.slowed, outputs };
}

/** Half-precision data arrives as raw bits where the platform has no Float16Array. */
function comparable(tensor: Tensor): ComparedTensor {
  const { data } = tensor;
  const isRawHalf = tensor.type === "float16" && data instanceof Uint16Array;
  const numbers = isRawHalf ? Float32Array.from(data, fromHalf) : data;
  return { dtype: tensor.type, shape: tensor.dims, data: numbers };
}
