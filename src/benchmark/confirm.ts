import { errorMessage, isAppError } from "../core/index.js";
import type { LayerRange } from "../inference/index.js";
import type { MeasureAnswer, MeasuredLayers, RangeMeasurement } from "../protocol/index.js";
import type { BenchmarkOptions } from "./options.js";
import { atSpeedOf, type Earlier } from "./processor.js";
import { repeatOf } from "./repeat.js";
import { statisticsOf } from "./statistics.js";
import { type BenchmarkDeps, type ModelRequest, withModel, withoutCuts } from "./with-model.js";

/** What is published is held to these times: they have to be known better than what ranks plans. */
const REPEATS_MIN = 16;

export interface ConfirmRequest extends ModelRequest {
  ranges: readonly LayerRange[];
  /** From the profile with which the ranges are compared; without it, times are told for the speed of this moment. */
  earlier?: Earlier | undefined;
  /** Multiplies every time, to stand for a slower node. 1 by default. */
  emulatedSlowdown?: number | undefined;
}

/**
 * What ranges of layers take as partitions: each is run as the one model that a runtime would run, the
 * cost of the call included, in one opening of the whole model. Nothing is calibrated, and no cut
 * points are looked for: the plan was made of those that the profile tells.
 * @throws AppError MODEL_* | INFERENCE_* | ABORTED
 */
export function measureRanges(
  request: ConfirmRequest,
  options: BenchmarkOptions,
  deps: BenchmarkDeps,
): Promise<RangeMeasurement> {
  const slowdown = request.emulatedSlowdown ?? 1;
  const repeats = Math.max(options.repeats, REPEATS_MIN);
  const repeat = repeatOf({ ...options, repeats, targetPercent: options.targetPercent / 2 }, 0);
  const context = { options: withoutCuts(options), deps };
  return withModel(request, context, async (worker, opened, signal) => {
    await atSpeedOf(worker, opened, request.earlier);
    const ranges: MeasuredLayers[] = [];
    for (const { firstLayer, lastLayer } of request.ranges) {
      await deps.beforeStep?.(signal);
      const target = { kind: "range", firstLayer, lastLayer } as const;
      const measured = statisticsOf(await worker.measure(target, repeat));
      ranges.push({
        firstLayer,
        lastLayer,
        ...measured,
        medianMs: measured.medianMs * slowdown,
        p95Ms: measured.p95Ms * slowdown,
        spreadMs: measured.spreadMs * slowdown,
      });
    }
    const { externalSha256 } = opened;
    return {
      measuredAt: deps.clock.nowMs(),
      ...(externalSha256 === undefined ? {} : { externalSha256 }),
      environment: { ...opened.environment, emulatedSlowdown: slowdown },
      ranges,
    };
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
