import { median } from "simple-statistics";
import { errorMessage, isAppError } from "../core/index.js";
import { isStable, type LayerRange, type Measured, type ModelWorker } from "../inference/index.js";
import type { MeasureAnswer, MeasuredLayers, RangeMeasurement } from "../protocol/index.js";
import type { BenchmarkOptions } from "./options.js";
import { atSpeedOf, type Earlier } from "./processor.js";
import { repeatOf } from "./repeat.js";
import { statisticsOf } from "./statistics.js";
import { type BenchmarkDeps, type ModelRequest, withModel, withoutCuts } from "./with-model.js";

/**
 * What is published is held to these times: they have to be known better than what ranks plans. Runs in
 * a row agree with each other however slow the processor is at that moment, so the ranges are measured
 * in turns, spread over some seconds, until the turns agree.
 */
const ROUNDS_MIN = 3;
/** From the beginning of one to that of the next, where measuring takes less. */
const ROUND_EVERY_MS = 750;
/** After this time no round begins beyond the fewest. */
const SPREAD_MS = 5_500;
/** A round that would not end within so much of the time limit is not begun: slow ranges count, too. */
const ROUNDS_SHARE_MAX = 1 / 2;
/** Runs of each range in a round. */
const REPEATS_MIN = 5;
/** Being wrong by this much changes no plan. */
const NEGLIGIBLE_MS = 0.01;

export interface ConfirmRequest extends ModelRequest {
  ranges: readonly LayerRange[];
  /** From the profile with which the ranges are compared; without it, times are told for the speed of this moment. */
  earlier?: Earlier | undefined;
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
    await atSpeedOf(worker, opened, request.earlier);
    const taken = await measureInRounds(worker, request.ranges, { options, deps, signal });
    const ranges = taken.map(({ range, rounds }): MeasuredLayers => {
      const samplesMs = rounds.flatMap((round) => round.samplesMs);
      const measured = statisticsOf({ samplesMs, stable: agree(rounds, options) });
      return {
        ...range,
        ...measured,
        medianMs: measured.medianMs * slowdown,
        p95Ms: measured.p95Ms * slowdown,
        spreadMs: measured.spreadMs * slowdown,
      };
    });
    const { externalSha256 } = opened;
    return {
      measuredAt: deps.clock.nowMs(),
      ...(externalSha256 === undefined ? {} : { externalSha256 }),
      environment: { ...opened.environment, emulatedSlowdown: slowdown },
      ranges,
    };
  });
}

type Round = Pick<Measured, "samplesMs">;

interface Taken {
  range: LayerRange;
  rounds: Round[];
}

async function measureInRounds(
  worker: ModelWorker,
  ranges: readonly LayerRange[],
  context: { options: BenchmarkOptions; deps: BenchmarkDeps; signal: AbortSignal },
): Promise<Taken[]> {
  const { options, deps, signal } = context;
  const repeat = repeatOf({ ...options, repeats: Math.max(options.repeats, REPEATS_MIN) }, 0);
  const taken = ranges.map(({ firstLayer, lastLayer }): Taken => {
    return { range: { firstLayer, lastLayer }, rounds: [] };
  });
  const startedAtMs = deps.clock.monotonicMs();
  for (let round = 1; ; round++) {
    const roundAtMs = deps.clock.monotonicMs();
    for (const { range, rounds } of taken) {
      await deps.beforeStep?.(signal);
      rounds.push(await worker.measure({ kind: "range", ...range }, repeat));
    }
    const nowMs = deps.clock.monotonicMs();
    const elapsedMs = nowMs - startedAtMs;
    if (elapsedMs + (nowMs - roundAtMs) > options.timeoutMs * ROUNDS_SHARE_MAX) return taken;
    const isOver = elapsedMs >= SPREAD_MS;
    const isKnown = taken.every(({ rounds }) => agree(rounds, options));
    if (round >= ROUNDS_MIN && (isOver || isKnown)) return taken;
    const restMs = roundAtMs + ROUND_EVERY_MS - nowMs;
    if (restMs > 0) await deps.clock.sleep(restMs, signal);
  }
}

/** Whether what the rounds found is known as well as `options` ask. */
function agree(rounds: readonly Round[], options: BenchmarkOptions): boolean {
  return isStable(
    rounds.map(({ samplesMs }) => median(samplesMs)),
    {
      relativeHalfWidth: options.targetPercent / 2 / 100,
      confidence: options.confidence,
      negligibleMs: NEGLIGIBLE_MS,
      repeatsMax: rounds.length,
    },
  );
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
