import type { Profile } from "../protocol/index.js";
import { isSameEnvironment } from "./environment.js";
import type { BenchmarkOptions } from "./options.js";
import { repeatOf } from "./repeat.js";
import { slowedDown, statisticsOf } from "./statistics.js";
import { type BenchmarkDeps, type ModelRequest, withModel } from "./with-model.js";

/** A short look at a model that was benchmarked before. */
export interface SentinelReading {
  /** Unix milliseconds. */
  measuredAt: number;
  model: Profile["model"];
  externalSha256: string | undefined;
  environment: Profile["environment"];
  wholeMs: number;
  stable: boolean;
}

export type SentinelVerdict =
  | { kind: "ok" }
  /** Every time of the profile is to be multiplied by this. */
  | { kind: "scale"; factor: number }
  | { kind: "full"; reason: string };

export interface SentinelLimits {
  okPercent: number;
  fullPercent: number;
}

/** Cut points are not looked for, which takes longer than timing the model as a whole. */
const NO_CUTS = 0;

/**
 * Times the whole model only.
 * @throws AppError MODEL_* | INFERENCE_* | ABORTED
 */
export function readSentinel(
  request: ModelRequest & { emulatedSlowdown?: number | undefined },
  options: BenchmarkOptions,
  deps: BenchmarkDeps,
): Promise<SentinelReading> {
  const withoutCuts = { ...options, maxCutTensors: NO_CUTS };
  return withModel(request, { options: withoutCuts, deps }, async (worker, opened, signal) => {
    const slowdown = request.emulatedSlowdown ?? 1;
    await deps.beforeStep?.(signal);
    const whole = statisticsOf(await worker.measure({ kind: "whole" }, repeatOf(options, 0)));
    return {
      measuredAt: deps.clock.nowMs(),
      model: opened.model,
      externalSha256: opened.externalSha256,
      environment: { ...opened.environment, emulatedSlowdown: slowdown },
      wholeMs: whole.medianMs * slowdown,
      stable: whole.stable,
    };
  });
}

/**
 * What a reading means for the profile. A small change is none; a moderate one concerns all blocks
 * alike, as a change of the processor's frequency does; a large one, another environment, or a
 * change that the reading is not sure of, needs the full benchmark. Scalings add up: together they
 * are bounded as one is.
 */
export function judgeSentinel(
  profile: Profile,
  reading: SentinelReading,
  limits: SentinelLimits,
): SentinelVerdict {
  if (profile.model.sha256 !== reading.model.sha256) return full("the model is another one");
  if (profile.externalSha256 !== reading.externalSha256) return full("its external data changed");
  if (!isSameEnvironment(profile.environment, reading.environment)) {
    return full("the environment changed");
  }
  if (profile.wholeMs <= 0 || reading.wholeMs <= 0) return full("it takes no time to compare");
  const factor = reading.wholeMs / profile.wholeMs;
  if (changePercent(factor) <= limits.okPercent) return { kind: "ok" };
  if (!reading.stable) return full("the times vary too much to tell");
  const scaledBy = (profile.refreshed?.scaledBy ?? 1) * factor;
  if (Math.max(changePercent(factor), changePercent(scaledBy)) > limits.fullPercent) {
    return full(`the whole model takes ${scaledBy.toFixed(2)} times what it took`);
  }
  return { kind: "scale", factor };
}

/** The profile as of the reading, its times multiplied by `factor`. */
export function refreshProfile(
  profile: Profile,
  reading: SentinelReading,
  factor: number,
): Profile {
  return {
    ...profile,
    ...slowedDown(profile, factor),
    measuredAt: reading.measuredAt,
    refreshed: {
      fullAt: profile.refreshed?.fullAt ?? profile.measuredAt,
      scaledBy: (profile.refreshed?.scaledBy ?? 1) * factor,
    },
  };
}

/** Twice as slow and twice as fast are the same change: 100 %. */
function changePercent(factor: number): number {
  return 100 * (Math.max(factor, 1 / factor) - 1);
}

function full(reason: string): SentinelVerdict {
  return { kind: "full", reason };
}
