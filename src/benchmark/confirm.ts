import { median } from "simple-statistics";
import { errorMessage, isAppError } from "../core/index.js";
import { isStable, type LayerRange, type ModelWorker, type Turn } from "../inference/index.js";
import type { MeasureAnswer, MeasuredLayers, RangeMeasurement } from "../protocol/index.js";
import type { BenchmarkOptions } from "./options.js";
import { areAlike, statisticsOf } from "./statistics.js";
import { type BenchmarkDeps, type ModelRequest, withModel, withoutCuts } from "./with-model.js";

/**
 * What is published is held to these times: they have to be known better than what ranks plans. In each
 * turn the ranges are timed beside the whole model, and told for the speed at which it takes what its profile
 * says: what slows the machine down for a moment slows both. Turns go on until they agree.
 */
const TURNS_MIN = 5;
/** From the beginning of one to that of the next, where measuring takes less. */
const TURN_EVERY_MS = 300;
/** After this time no turn begins beyond the fewest. */
const SPREAD_MS = 4_000;
/** A turn that would not end within so much of the time limit is not begun: slow ranges count, too. */
const TURNS_SHARE_MAX = 1 / 2;
/** In one turn each range is run so often at least, behind a run that is not timed, and for so long. */
const RUNS = 3;
const RUN_FOR_MS = 10;
/** Being wrong by this much, or this share of the whole model's time, changes no plan. */
const NEGLIGIBLE_MS = 0.01;
const NEGLIGIBLE_SHARE = 0.005;
/** Where the whole model is further off its profile, that is not the moment: times are told as they are. */
const SAME_MACHINE_MAX = 2;

export interface ConfirmRequest extends ModelRequest {
  ranges: readonly LayerRange[];
  /**
   * What the whole model takes by the profile with which the ranges are compared, in milliseconds, emulation
   * included; without it, times are told as they are at this moment.
   */
  wholeMs?: number | undefined;
  /** Multiplies every time, to stand for a slower node. 1 by default. */
  emulatedSlowdown?: number | undefined;
}

/**
 * What ranges of layers take as partitions: each is run as the one model that a runtime would run, the
 * cost of the call included, in one opening of the whole model. Nothing is calibrated, and no cut points
 * are looked for: the plan was made of those that the profile tells.
 * @throws AppError MODEL_* | INFERENCE_* | ABORTED
 */
export function measureRanges(
  request: ConfirmRequest,
  options: BenchmarkOptions,
  deps: BenchmarkDeps,
): Promise<RangeMeasurement> {
  const slowdown = request.emulatedSlowdown ?? 1;
  const context = { options: withoutCuts(options), deps };
  return withModel(request, context, async (worker, opened, signal) => {
    const turns = await takeTurns(worker, request, { options, deps, signal });
    const ranges = request.ranges.map(({ firstLayer, lastLayer }, index): MeasuredLayers => {
      const samplesMs = timesOf(turns, index).flat();
      const stable = isKnown(turns, index, options);
      return { firstLayer, lastLayer, ...statisticsOf({ samplesMs, stable }) };
    });
    const wholeMs = turns.flatMap((turn) => turn.wholeMs ?? []);
    const { externalSha256 } = opened;
    return {
      measuredAt: deps.clock.nowMs(),
      ...(externalSha256 === undefined ? {} : { externalSha256 }),
      environment: { ...opened.environment, emulatedSlowdown: slowdown },
      ...(wholeMs.length === 0 ? {} : { wholeMs: median(wholeMs) }),
      ranges,
    };
  });
}

/** What one turn found, emulation included. */
interface ToldTurn {
  /** The whole, as it was at this moment. */
  wholeMs: number | undefined;
  /** Of each range, for the speed of the profile. */
  rangesMs: number[][];
}

async function takeTurns(
  worker: ModelWorker,
  request: ConfirmRequest,
  context: { options: BenchmarkOptions; deps: BenchmarkDeps; signal: AbortSignal },
): Promise<ToldTurn[]> {
  const { options, deps, signal } = context;
  const budgetMs = options.blockBudgetMs;
  const repeat = { warmups: 1, repeats: RUNS, runForMs: RUN_FOR_MS, budgetMs };
  const turns: ToldTurn[] = [];
  const startedAtMs = deps.clock.monotonicMs();
  for (let isFirst = true; ; isFirst = false) {
    const turnAtMs = deps.clock.monotonicMs();
    await deps.beforeStep?.(signal);
    const turn = asTold(await worker.turn(request.ranges, repeat), request);
    const nowMs = deps.clock.monotonicMs();
    const elapsedMs = nowMs - startedAtMs;
    const isLast = elapsedMs + (nowMs - turnAtMs) > options.timeoutMs * TURNS_SHARE_MAX;
    // Memory is still strange to the first one.
    if (!isFirst || isLast) turns.push(turn);
    const areKnown = () => request.ranges.every((_, index) => isKnown(turns, index, options));
    const isEnough = turns.length >= TURNS_MIN && (elapsedMs >= SPREAD_MS || areKnown());
    if (isLast || isEnough) return turns;
    const restMs = turnAtMs + TURN_EVERY_MS - nowMs;
    if (restMs > 0) await deps.clock.sleep(restMs, signal);
  }
}

function asTold(
  { wholeMs, samplesMs }: Turn,
  { wholeMs: usualMs, emulatedSlowdown = 1 }: ConfirmRequest,
): ToldTurn {
  const nowMs = wholeMs === undefined ? undefined : wholeMs * emulatedSlowdown;
  const isComparable =
    nowMs !== undefined && usualMs !== undefined && areAlike(nowMs, usualMs, SAME_MACHINE_MAX);
  const factor = emulatedSlowdown * (isComparable && nowMs > 0 ? usualMs / nowMs : 1);
  return {
    wholeMs: nowMs,
    rangesMs: samplesMs.map((times) => times.map((timeMs) => timeMs * factor)),
  };
}

/** What each turn found of a range. */
function timesOf(turns: readonly ToldTurn[], index: number): number[][] {
  return turns.map(({ rangesMs }) => rangesMs[index] ?? []);
}

/** Whether the turns agree on a range as well as `options` ask. */
function isKnown(turns: readonly ToldTurn[], index: number, options: BenchmarkOptions): boolean {
  const wholeMs = Math.min(...turns.map((turn) => turn.wholeMs ?? 0));
  return isStable(timesOf(turns, index).map(median), {
    relativeHalfWidth: options.targetPercent / 2 / 100,
    confidence: options.confidence,
    negligibleMs: Math.max(NEGLIGIBLE_MS, NEGLIGIBLE_SHARE * wholeMs),
    repeatsMax: turns.length,
  });
}

const REASON_CHARACTERS_MAX = 4_000;

/**
 * The same as an answer to who asked for it: partitions that do not run are one, too.
 * @throws AppError ABORTED
 */
export async function answerMeasure(
  request: ConfirmRequest,
  options: BenchmarkOptions,
  deps: BenchmarkDeps,
): Promise<MeasureAnswer> {
  try {
    return { kind: "measured", ...(await measureRanges(request, options, deps)) };
  } catch (error) {
    if (isAppError(error, "ABORTED")) throw error;
    return { kind: "failed", reason: errorMessage(error).slice(0, REASON_CHARACTERS_MAX) };
  }
}
