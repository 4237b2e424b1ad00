import { interquartileRange, median, quantile } from "simple-statistics";
import { z } from "zod";
import type { Measured } from "../inference/index.js";
import type { BlockProfile, Calibration, Profile, WholeProfile } from "../protocol/index.js";

/** Of repeated runs, in milliseconds. */
export const statisticsSchema = z.strictObject({
  medianMs: z.number().nonnegative(),
  p95Ms: z.number().nonnegative(),
  /** Interquartile range. */
  spreadMs: z.number().nonnegative(),
  repeats: z.number().int().positive(),
  stable: z.boolean(),
});
export type Statistics = z.infer<typeof statisticsSchema>;

type Timings = Pick<Profile, "wholeMs" | "whole" | "blocks" | "calibration" | "sentinel">;

/** What of a profile comes from timing. */
export interface Measurements
  extends Pick<Profile, "wholeMs" | "blocks" | "equality" | "kernelOrder" | "sentinel"> {
  whole: WholeProfile;
  calibration: Calibration;
}

export function statisticsOf({
  samplesMs,
  stable,
}: Pick<Measured, "samplesMs" | "stable">): Statistics {
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
  const { wholeMs, whole, blocks, calibration, sentinel } = measured;
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
    ...(sentinel === undefined
      ? {}
      : {
          sentinel: {
            blocks: sentinel.blocks.map((one) => ({ ...one, medianMs: one.medianMs * factor })),
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

/**
 * What the same model takes at two moments differs by so much on a shared machine, though runs in a row are
 * alike to a percent: measured seconds to minutes apart, three of four pairs were nearer.
 */
export const ALIKE_MAX = 1.08;

/** Whether the longer time is at most `factorMax` times the shorter one. */
export function areAlike(oneMs: number, otherMs: number, factorMax = ALIKE_MAX): boolean {
  return Math.max(oneMs, otherMs) <= factorMax * Math.min(oneMs, otherMs);
}
