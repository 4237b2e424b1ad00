import { interquartileRange, median, quantile } from "simple-statistics";
import type { Measured } from "../inference/index.js";
import type { BlockProfile, Calibration, Profile, WholeProfile } from "../protocol/index.js";

/** Of repeated runs, in milliseconds. */
export interface Statistics {
  medianMs: number;
  p95Ms: number;
  /** Interquartile range. */
  spreadMs: number;
  repeats: number;
  stable: boolean;
}

type Timings = Pick<Profile, "wholeMs" | "whole" | "blocks" | "calibration">;

/** What of a profile comes from timing. */
export interface Measurements extends Pick<Profile, "wholeMs" | "blocks" | "equality"> {
  whole: WholeProfile;
  calibration: Calibration;
}

export function statisticsOf({ samplesMs, stable }: Measured): Statistics {
  return {
    medianMs: median(samplesMs),
    p95Ms: quantile(samplesMs, 0.95),
    spreadMs: Math.abs(interquartileRange(samplesMs)),
    repeats: samplesMs.length,
    stable,
  };
}

/** As a machine would measure that takes `factor` times as long for everything. */
export function slowedDown<T extends Timings>(measured: T, factor: number): T {
  const { wholeMs, whole, blocks, calibration } = measured;
  return {
    ...measured,
    wholeMs: wholeMs * factor,
    ...(whole === undefined
      ? {}
      : { whole: { ...whole, p95Ms: whole.p95Ms * factor, spreadMs: whole.spreadMs * factor } }),
    ...(calibration === undefined
      ? {}
      : {
          calibration: {
            ...calibration,
            rawSumMs: calibration.rawSumMs * factor,
            callOverheadMs: calibration.callOverheadMs * factor,
            msPerCutByte: calibration.msPerCutByte * factor,
          },
        }),
    blocks: blocks.map((block) => slowedBlock(block, factor)),
  };
}

function slowedBlock(block: BlockProfile, factor: number): BlockProfile {
  const { medianMs, rawMedianMs, p95Ms, spreadMs } = block;
  return {
    ...block,
    medianMs: medianMs * factor,
    ...(rawMedianMs === undefined ? {} : { rawMedianMs: rawMedianMs * factor }),
    ...(p95Ms === undefined ? {} : { p95Ms: p95Ms * factor }),
    spreadMs: spreadMs * factor,
  };
}
