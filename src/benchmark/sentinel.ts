import { sum } from "simple-statistics";
import type { Clock } from "../core/index.js";
import type { ModelWorker } from "../inference/index.js";
import type { Profile } from "../protocol/index.js";
import { isSameEnvironment } from "./environment.js";
import type { BenchmarkOptions } from "./options.js";
import { expecting, repeatOf } from "./repeat.js";
import { cannotBeFed, glanceAt } from "./sentinel-blocks.js";
import { slowedDown, statisticsOf } from "./statistics.js";
import { knownOf } from "./verified.js";
import { type BenchmarkDeps, type ModelRequest, withModel, withoutCuts } from "./with-model.js";

/** A short look at a model that was benchmarked before. */
export interface SentinelReading {
  /** Unix milliseconds. */
  measuredAt: number;
  model: Profile["model"];
  externalSha256: string | undefined;
  environment: Profile["environment"];
  /** What was timed, then and now: a few blocks or the whole. None where that cannot be compared. */
  times: readonly { beforeMs: number; nowMs: number }[];
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

/**
 * Times the blocks that the profile names for that, or the whole model where it names none.
 * Whatever slows the node down as a whole shows in any block; what concerns some kernels only is
 * seen where one of these blocks has them, and otherwise by the next full benchmark.
 * @throws AppError MODEL_* | INFERENCE_* | ABORTED
 */
export function readSentinel(
  request: ModelRequest & { emulatedSlowdown?: number | undefined; previous: Profile },
  options: BenchmarkOptions,
  deps: BenchmarkDeps,
): Promise<SentinelReading> {
  const { previous } = request;
  const looked = { ...request, known: knownOf(previous) };
  return withModel(
    looked,
    { options: withoutCuts(options), deps },
    async (worker, opened, signal) => {
      const slowdown = request.emulatedSlowdown ?? 1;
      await deps.beforeStep?.(signal);
      deps.onProgress?.({ done: 0, total: 1, what: "a short look" });
      const seen = opened.wasKnown
        ? await timeAgain(worker, { previous, options, slowdown, clock: deps.clock, signal })
        : { times: [], stable: true };
      return {
        measuredAt: deps.clock.nowMs(),
        model: opened.model,
        externalSha256: opened.externalSha256,
        environment: { ...opened.environment, emulatedSlowdown: slowdown },
        ...seen,
      };
    },
  );
}

async function timeAgain(
  worker: ModelWorker,
  context: {
    previous: Profile;
    options: BenchmarkOptions;
    slowdown: number;
    clock: Clock;
    signal: AbortSignal;
  },
): Promise<Pick<SentinelReading, "times" | "stable">> {
  const { previous, options, slowdown } = context;
  const { sentinel, wholeMs, environment } = previous;
  const emulated = environment.emulatedSlowdown;
  if (sentinel === undefined) {
    const repeat = expecting(repeatOf(options, 0), wholeMs / emulated);
    const { medianMs, stable } = statisticsOf(await worker.measure({ kind: "whole" }, repeat));
    return { times: [{ beforeMs: wholeMs, nowMs: medianMs * slowdown }], stable };
  }
  try {
    const { blocks } = sentinel;
    const { timesMs, stable } = await glanceAt(worker, blocks, {
      ...context,
      expectedMs: sum(blocks.map(({ medianMs }) => medianMs)) / emulated,
      tolerancePercent: options.sentinel.okPercent,
    });
    const times = blocks.map(({ medianMs: beforeMs }, index) => {
      return { beforeMs, nowMs: (timesMs[index] ?? 0) * slowdown };
    });
    return { times, stable };
  } catch (error) {
    if (!cannotBeFed(error)) throw error;
    return { times: [], stable: false };
  }
}

/**
 * What a reading means for the profile. A small change is none; a moderate one concerns all blocks
 * alike, as a change of the processor's frequency does; a large one, another environment, blocks
 * that changed differently, or a change that the reading is not sure of, needs the full benchmark.
 * Scalings add up: together they are bounded as one is.
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
  const { times } = reading;
  if (times.length === 0) return full("what was timed before cannot be timed again");
  if (times.some(({ beforeMs, nowMs }) => beforeMs <= 0 || nowMs <= 0)) {
    return full("it takes no time to compare");
  }
  const factor = sum(times.map(({ nowMs }) => nowMs)) / sum(times.map(({ beforeMs }) => beforeMs));
  const factors = times.map(({ beforeMs, nowMs }) => nowMs / beforeMs);
  const isUniform = factors.every((one) => changePercent(one / factor) <= limits.fullPercent);
  if (!isUniform) return full("some blocks changed much more than others");
  if (changePercent(factor) <= limits.okPercent) return { kind: "ok" };
  if (!reading.stable) return full("the times vary too much to tell");
  const scaledBy = (profile.refreshed?.scaledBy ?? 1) * factor;
  if (Math.max(changePercent(factor), changePercent(scaledBy)) > limits.fullPercent) {
    return full(`it takes ${scaledBy.toFixed(2)} times what it took`);
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
