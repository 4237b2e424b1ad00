import { isAppError } from "../core/index.js";
import {
  extractSubModel,
  type OnnxModel,
  type SubModel,
  tensorsAcross,
  withExtraOutputs,
} from "../model/index.js";
import type { TensorInfo } from "../protocol/index.js";
import { compareOutputs, refuseUnstable } from "./child-compare.js";
import { madeUpInputs } from "./child-inputs.js";
import { keeping } from "./child-kept.js";
import { type KernelContext, timeKernels } from "./child-profile.js";
import { openSession, type Session } from "./child-session.js";
import { infoOf, type Tensors } from "./child-tensors.js";
import { tinyModel } from "./child-tiny.js";
import { type TimedSession, timeRuns } from "./child-runs.js";
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

interface Context extends KernelContext {
  /** The model for the shapes of its inputs; without them, as far as sessions of the whole go. */
  bound: () => Promise<OnnxModel>;
  types: Map<string, TensorInfo>;
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
  const { config, feeds, types, processor } = context;
  const outputNames = context.outputs.map((output) => output.name);
  const table: Tensors = new Map(feeds);
  /** What crosses into ranges measured out of order: they may be measured again. */
  const fetched = new Set<string>();
  let reference: Tensors | undefined;

  const measureWhole = async (repeat: Repeat): Promise<Measured> => {
    const fed = { repeat, feeds, outputs: outputNames };
    const asKept = await timeKeptWhole(context, fed);
    const timed = asKept ?? (await timeModel(context, fed));
    // What the parts are compared with comes from the model itself.
    reference = asKept === undefined ? timed.last : undefined;
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

  const measureAlone = async (range: LayerRange, repeat: Repeat): Promise<Measured> =>
    describeRuns(
      await timeOpened(await openAlone(range, context), processor, (session) => {
        const made = madeUpInputs(session.inputNames, { feeds, types, seed: config.inputSeed });
        return { repeat, feeds: made, outputs: session.tensorOutputs };
      }),
    );

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

interface Fed {
  repeat: Repeat;
  feeds: Tensors;
  outputs: readonly string[];
}

/** Opens a model as a user would have it, and times its runs. */
async function timeSession(
  bytes: Uint8Array,
  { config, processor }: Pick<Context, "config" | "processor">,
  fed: Fed,
): Promise<TimedSession> {
  const open = (): Promise<Session> => openSession(bytes, config, { optimisation: "all" });
  return timeOpened(await timeOpening(open), processor, () => fed);
}

interface Opened {
  session: Session;
  openMs: number;
}

async function timeOpening(open: () => Promise<Session>): Promise<Opened> {
  const startedAtMs = performance.now();
  const session = await open();
  return { session, openMs: performance.now() - startedAtMs };
}

/** Times the runs of a session, and releases it. */
async function timeOpened(
  { session, openMs }: Opened,
  processor: Processor,
  feed: (session: Session) => Fed,
): Promise<TimedSession> {
  try {
    const { repeat, feeds, outputs } = feed(session);
    const run = (): Promise<Tensors> => session.run(feeds, outputs);
    return { ...(await timeRuns(repeat, processor, run)), openMs };
  } finally {
    await session.release();
  }
}

async function timeModel(context: Context, fed: Fed): Promise<TimedSession> {
  const timed = await timeSession(context.bytes, context, fed);
  refuseUnstable(timed, context.config.relativeTolerance);
  return timed;
}

/** The whole model as it was kept; undefined where it was not, or is damaged, and then it is forgotten. */
async function timeKeptWhole(
  { kept, config, processor }: Context,
  fed: Fed,
): Promise<TimedSession | undefined> {
  if (kept === undefined) return undefined;
  try {
    const opened = await timeOpening(() => kept.open("whole"));
    const timed = await timeOpened(opened, processor, () => fed);
    refuseUnstable(timed, config.relativeTolerance);
    return timed;
  } catch (error) {
    if (!isAppError(error)) throw error;
    kept.forget("whole");
    return undefined;
  }
}

/** A range of layers as a model of its own, as it was kept or to be kept. */
function openAlone(range: LayerRange, context: Context): Promise<Opened> {
  const { config, kept, noted } = context;
  const open = async (): Promise<Session> => {
    const asKept = await kept?.open(range).catch(() => undefined);
    if (asKept !== undefined) return asKept;
    const part = await partOf(range, context);
    return keeping(kept?.draft(range, part.bytes.byteLength), async (draft) => {
      const written = draft && { optimisedModelPath: draft.optimisedModelPath };
      const session = await openSession(part.bytes, config, { ...written, optimisation: "all" });
      draft?.commit({ model: noted, inputs: new Set(part.inputs) });
      return session;
    });
  };
  return timeOpening(open);
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
