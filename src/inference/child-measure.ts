import { isAppError } from "../core/index.js";
import type { SubModel } from "../model/index.js";
import { compareOutputs, refuseUnstable } from "./child-compare.js";
import { madeUpInputs } from "./child-inputs.js";
import { keeping } from "./child-kept.js";
import { fetchMissing, type PartContext, partOf } from "./child-parts.js";
import { type KernelContext, timeKernels } from "./child-profile.js";
import { openSession, type Session, withSession } from "./child-session.js";
import { infoOf, type Tensors } from "./child-tensors.js";
import { tinyModel } from "./child-tiny.js";
import { createTurns, type Turns } from "./child-turns.js";
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
  Turn,
} from "./messages.js";
import { isOneThread } from "./options.js";

const MIB_BYTES = 1_024 ** 2;

type Context = KernelContext & PartContext;

interface Measurer {
  /** The range as a model of its own. */
  part(range: LayerRange): Promise<SubModel>;
  measure(target: MeasureTarget, repeat: Repeat): Promise<Measured>;
  turn(ranges: readonly LayerRange[], repeat: Repeat): Promise<Turn>;
  profile(request: ProfileRequest): Promise<Profiled>;
  compare(): Promise<Compared>;
}

/** Times the model and its parts on one table of tensors, which chains the parts. */
export function createMeasurer(context: Context): Measurer {
  const { config, feeds } = context;
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
    for (const name of await fetchMissing(context, table, range)) {
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

  const turns = turnsOn(table, context);
  return {
    part: (range) => partOf(range, context),
    turn: (ranges, repeat) => turns.take(ranges, repeat),
    measure(target, repeat) {
      switch (target.kind) {
        case "whole":
          return measureWhole(repeat);
        case "range":
          return measureRange(target, repeat);
        case "alone":
          return measureAlone(target, repeat, context);
        case "nothing":
          return measureNothing(repeat);
      }
    },
    profile: profileWhole,
    async compare() {
      reference ??= await withSession(context.bytes, { config, optimisation: "all" }, (session) =>
        session.run(feeds, outputNames),
      );
      return compareOutputs(reference, table, config.relativeTolerance);
    },
  };
}

/** On what is made up for it. */
async function measureAlone(
  range: LayerRange,
  repeat: Repeat,
  context: Context,
): Promise<Measured> {
  const { config, feeds, types } = context;
  const opened = await openAlone(range, context);
  const timed = await timeOpened(opened, config, (session) => {
    const made = madeUpInputs(session.inputNames, { feeds, types, seed: config.inputSeed });
    return { repeat, feeds: made, outputs: session.tensorOutputs };
  });
  return describeRuns(timed);
}

function turnsOn(table: Tensors, context: Context): Turns {
  const { bytes, config, feeds, outputs } = context;
  return createTurns({
    ...{ bytes, feeds, isOneThread: isOneThread(config) },
    memory: {
      limitBytes: config.memoryLimitMiB * MIB_BYTES,
      usedBytes: () => process.memoryUsage.rss(),
    },
    outputs: outputs.map(({ name }) => name),
    open: (model) => openSession(model, config, { optimisation: "all" }),
    async part(range) {
      await fetchMissing(context, table, range);
      return { ...(await partOf(range, context)), feeds: table };
    },
  });
}

interface Fed {
  repeat: Repeat;
  feeds: Tensors;
  outputs: readonly string[];
}

/** Opens a model as a user would have it, and times its runs. */
async function timeSession(
  bytes: Uint8Array,
  { config }: Pick<Context, "config">,
  fed: Fed,
): Promise<TimedSession> {
  const open = (): Promise<Session> => openSession(bytes, config, { optimisation: "all" });
  return timeOpened(await timeOpening(open), config, () => fed);
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
  config: ChildConfig,
  feed: (session: Session) => Fed,
): Promise<TimedSession> {
  try {
    const { repeat, feeds, outputs } = feed(session);
    const run = (): Promise<Tensors> => session.run(feeds, outputs);
    return { ...(await timeRuns(repeat, isOneThread(config), run)), openMs };
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
  { kept, config }: Context,
  fed: Fed,
): Promise<TimedSession | undefined> {
  if (kept === undefined) return undefined;
  try {
    const opened = await timeOpening(() => kept.open("whole"));
    const timed = await timeOpened(opened, config, () => fed);
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

function describeRuns(timed: TimedSession): Measured {
  const outputs = [...timed.last].map(([name, tensor]) => infoOf(name, tensor));
  const { samplesMs, stable, openMs } = timed;
  return { samplesMs, stable, openMs, outputs };
}
