import { median } from "simple-statistics";
import { isAppError } from "../core/index.js";
import type { SubModel } from "../model/index.js";
import { timeRuns } from "./child-runs.js";
import type { Session } from "./child-session.js";
import type { Tensors } from "./child-tensors.js";
import type { LayerRange, Repeat, Turn } from "./messages.js";

/** The whole is opened beside its parts where it is expected to leave so much of the memory limit. */
const FREE_SHARE_MIN = 0.25;
/** What it needs beside what its parts needed before they ran: they run in memory of their own. */
const GROWTH = 2;

const NOTHING: Tensors = new Map();

interface Context {
  /** The whole model, external data included. */
  bytes: Uint8Array;
  outputs: readonly string[];
  feeds: Tensors;
  isOneThread: boolean;
  /** Of the process, and what it uses now. */
  memory: { limitBytes: number; usedBytes: () => number };
  open: (bytes: Uint8Array) => Promise<Session>;
  /** The range as a model of its own, and all that it is fed. */
  part: (range: LayerRange) => Promise<SubModel & { feeds: Tensors }>;
}

interface Runner {
  time: (repeat: Repeat) => Promise<number[]>;
  release: () => Promise<void>;
}

/** Parts of a model that are timed in turn with the whole. */
export interface Turns {
  take(ranges: readonly LayerRange[], repeat: Repeat): Promise<Turn>;
}

/**
 * Holds the ranges of the last turn and the whole model open, so that a turn is nothing but runs. A shared
 * machine is slower by half for seconds and minutes, but hardly changes between two runs that follow each
 * other: what a range takes beside the whole is known far better than what it takes.
 */
export function createTurns(context: Context): Turns {
  let held: { key: string; whole: Runner | undefined; parts: readonly Runner[] } | undefined;
  const release = async (): Promise<void> => {
    const runners = held === undefined ? [] : [held.whole, ...held.parts];
    held = undefined;
    for (const runner of runners) await runner?.release();
  };
  const hold = async (key: string, ranges: readonly LayerRange[]) => {
    const { memory } = context;
    const usedBefore = memory.usedBytes();
    const parts: Runner[] = [];
    held = { key, whole: undefined, parts };
    for (const range of ranges) {
      const { bytes, outputs, feeds } = await context.part(range);
      parts.push(runnerOf(await context.open(bytes), { ...context, outputs, feeds }));
    }
    const usedBytes = memory.usedBytes();
    const expectedBytes = usedBytes + GROWTH * Math.max(0, usedBytes - usedBefore);
    const hasRoom = expectedBytes <= (1 - FREE_SHARE_MIN) * memory.limitBytes;
    if (hasRoom) held.whole = await openWhole(context);
    return held;
  };
  const giveUp = async (error: unknown): Promise<never> => {
    await release();
    throw error;
  };
  return {
    async take(ranges, repeat) {
      const key = JSON.stringify(ranges);
      if (held?.key !== key) await release();
      const { whole, parts } = held ?? (await hold(key, ranges).catch(giveUp));
      const wholeMs = await whole?.time(repeat);
      const samplesMs: number[][] = [];
      for (const part of parts) samplesMs.push(await part.time(repeat));
      return { ...(wholeMs === undefined ? {} : { wholeMs: median(wholeMs) }), samplesMs };
    },
  };
}

async function openWhole(context: Context): Promise<Runner | undefined> {
  try {
    return runnerOf(await context.open(context.bytes), context);
  } catch (error) {
    // Its parts may open all the same.
    if (isAppError(error, "INFERENCE_FAILED")) return undefined;
    throw error;
  }
}

function runnerOf(
  session: Session,
  { feeds, outputs, isOneThread }: Pick<Context, "feeds" | "outputs" | "isOneThread">,
): Runner {
  const run = async (): Promise<Tensors> => {
    await session.run(feeds, outputs);
    // What is held over several runs becomes old, and is freed late.
    return NOTHING;
  };
  return {
    time: async (repeat) => (await timeRuns(repeat, isOneThread, run)).samplesMs,
    release: () => session.release(),
  };
}
