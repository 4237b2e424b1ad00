import { z } from "zod";
import { modelRefSchema, sha256Schema, tierSchema } from "./names.js";

const PROFILE_BLOCKS_MAX = 20_000;
const PROFILE_INPUTS_MAX = 10_000;
const KERNELS_MAX = 1_000_000;
const SENTINEL_BLOCKS_MAX = 16;

/** A tensor as data: its name is the model's own and may be any text. `shape` is what was bound and run. */
export const tensorInfoSchema = z.strictObject({
  name: z.string(),
  dtype: z.string(),
  shape: z.array(z.number().int().nonnegative()),
  bytes: z.number().int().nonnegative(),
});
export type TensorInfo = z.infer<typeof tensorInfoSchema>;

export const blockProfileSchema = z.strictObject({
  index: z.number().int().nonnegative(),
  firstLayer: z.number().int().nonnegative(),
  /** Inclusive. */
  lastLayer: z.number().int().nonnegative(),
  /** Where the profile has a calibration, the blocks' medians sum to `wholeMs`. */
  medianMs: z.number().nonnegative(),
  /**
   * As measured, before calibration: of the block on its own, or of its kernels within the whole
   * model (`calibration.method`). Absent in profiles of older versions.
   */
  rawMedianMs: z.number().nonnegative().optional(),
  /** Of the block on its own; absent where it was not timed so. */
  p95Ms: z.number().nonnegative().optional(),
  /** Whether the median was known as precisely as asked before time or repeats ended. */
  stable: z.boolean().optional(),
  /** Interquartile range of the repeats. */
  spreadMs: z.number().nonnegative(),
  repeats: z.number().int().positive(),
  /** Bytes of `cutTensors` together: what crosses the cut behind this block. */
  outputBytes: z.number().int().nonnegative(),
  /** Tensors that cross the cut behind this block; behind the last block, the model's outputs. */
  cutTensors: z.array(tensorInfoSchema),
});
export type BlockProfile = z.infer<typeof blockProfileSchema>;

export const environmentSchema = z.strictObject({
  cpuModel: z.string(),
  logicalCores: z.number().int().positive(),
  threads: z.number().int().positive(),
  onnxruntimeVersion: z.string(),
  nodeVersion: z.string(),
  platform: z.string(),
  provider: z.string(),
  /** Times are measured times multiplied by this; 1 where nothing is emulated. */
  emulatedSlowdown: z.number().positive(),
});
export type Environment = z.infer<typeof environmentSchema>;

export const equalitySchema = z.strictObject({
  maxAbsoluteError: z.number().nonnegative(),
  maxRelativeError: z.number().nonnegative(),
  ok: z.boolean(),
});

/** Repeated runs of the whole model. */
export const wholeProfileSchema = z.strictObject({
  p95Ms: z.number().nonnegative(),
  /** Interquartile range. */
  spreadMs: z.number().nonnegative(),
  repeats: z.number().int().positive(),
  stable: z.boolean(),
});
export type WholeProfile = z.infer<typeof wholeProfileSchema>;

/** By which a later benchmark knows what each kernel of the whole model belongs to. */
export const kernelOrderSchema = z.strictObject({
  /** Over the kernels' names in the order of execution. */
  sha256: sha256Schema,
  /** In that order: an index of a block, and how many kernels in a row belong to it. */
  blocks: z
    .array(z.tuple([z.number().int().nonnegative(), z.number().int().positive().max(KERNELS_MAX)]))
    .min(1)
    .max(PROFILE_BLOCKS_MAX),
});
export type KernelOrder = z.infer<typeof kernelOrderSchema>;

/**
 * When cuts and fusions were last looked for, and the chain of blocks was last compared with the whole.
 * All of it depends on nothing but model, environment and `conditions`, and was done in the
 * profile's own `environment`: where one of them differs it is done anew.
 */
export const verifiedSchema = z.strictObject({
  /** Unix milliseconds. */
  at: z.number().int().nonnegative(),
  /** SHA-256 over the inputs and the options that cuts and equality depend on, `maxCutTensors` for one. */
  conditions: sha256Schema,
});
export type Verified = z.infer<typeof verifiedSchema>;

/** Blocks timed on their own on made-up inputs, in a few glances; a short look times them again. */
export const sentinelProfileSchema = z.strictObject({
  blocks: z
    .array(
      z.strictObject({
        firstLayer: z.number().int().nonnegative(),
        lastLayer: z.number().int().nonnegative(),
        medianMs: z.number().positive(),
      }),
    )
    .min(1)
    .max(SENTINEL_BLOCKS_MAX),
});
export type SentinelProfile = z.infer<typeof sentinelProfileSchema>;

const percentSchema = z.number().nonnegative().nullable();

/** What else went on while the profile was measured; null where the system does not tell. */
export const noiseSchema = z.strictObject({
  /** One minute's, before the benchmark began. */
  loadAverage: z.number().nonnegative().nullable(),
  /** Share of the time in which some task waited for a processor. */
  cpuPressurePercent: percentSchema,
  /** Share of the processors' time that the hypervisor gave to others. */
  stealPercent: percentSchema,
  frequencyChangePercent: percentSchema,
  /** Why the times deserve less trust, in plain words; empty for a quiet machine. */
  marks: z.array(z.string().max(200)).max(10),
});
export type Noise = z.infer<typeof noiseSchema>;

/** How measured blocks were made to sum to the whole model. */
export const calibrationSchema = z.strictObject({
  /**
   * Whether each block was timed on its own, or its kernels in ONNX Runtime's profile of the whole
   * model. Absent in profiles of older versions: blocks.
   */
  method: z.enum(["blocks", "kernels"]).optional(),
  /**
   * Sum of the raw medians. Of blocks on their own more than the whole, as each cut costs copies
   * and layout changes; of kernels less, by what goes between them.
   */
  rawSumMs: z.number().nonnegative(),
  /** Of one call of a model that does nothing; every partition pays it once. */
  callOverheadMs: z.number().nonnegative(),
  /** What a partition takes longer than its blocks within the whole, for each byte that crosses into or out of it. */
  msPerCutByte: z.number().nonnegative(),
  /** What a raw median, of a block on its own less all of that, was multiplied by. */
  factor: z.number().positive(),
  /**
   * Error of the calibrated blocks where it was checked: the model was cut in two at its middle,
   * and both halves were timed, by this benchmark or by an earlier one of the same split in the same
   * environment. Null for a model of fewer than three blocks.
   */
  residualPercent: z.number().nonnegative().nullable(),
});
export type Calibration = z.infer<typeof calibrationSchema>;

/** What `bench --json` prints, agents publish and `plan` reads. */
export const profileSchema = z
  .strictObject({
    model: modelRefSchema,
    /** Of the model's external data, which its own SHA-256 does not cover; absent where it has none. */
    externalSha256: sha256Schema.optional(),
    node: z.strictObject({
      tier: tierSchema,
      name: z.string().min(1).max(200),
      hardwareClass: z.string().min(1).max(200),
    }),
    /** Unix milliseconds. */
    measuredAt: z.number().int().nonnegative(),
    environment: environmentSchema,
    /** Only in profiles of older versions; nothing reads it. */
    processor: z.unknown().optional(),
    inputBytes: z.number().int().nonnegative(),
    /** The model's inputs, by which cuts that raw data crosses are known. Absent in older profiles. */
    inputNames: z.array(z.string()).max(PROFILE_INPUTS_MAX).optional(),
    wholeMs: z.number().nonnegative(),
    /** Absent in profiles of older versions, as are `calibration` and `noise`. */
    whole: wholeProfileSchema.optional(),
    calibration: calibrationSchema.optional(),
    noise: noiseSchema.optional(),
    verified: verifiedSchema.optional(),
    /** Absent where the method is not `kernels`, or the model has loops. */
    kernelOrder: kernelOrderSchema.optional(),
    /** Absent where the whole model is looked at. */
    sentinel: sentinelProfileSchema.optional(),
    /** Present when a short look replaced a benchmark. */
    refreshed: z
      .strictObject({
        /** When the blocks were measured last, in Unix milliseconds. */
        fullAt: z.number().int().nonnegative(),
        /** What their times were multiplied by since. */
        scaledBy: z.number().positive(),
      })
      .optional(),
    blocks: z.array(blockProfileSchema).min(1).max(PROFILE_BLOCKS_MAX),
    equality: equalitySchema,
  })
  .refine((profile) => blocksAreConsecutive(profile.blocks), {
    path: ["blocks"],
    message: "blocks must be numbered from 0 and cover consecutive layers",
  });
export type Profile = z.infer<typeof profileSchema>;

function blocksAreConsecutive(blocks: readonly BlockProfile[]): boolean {
  return blocks.every((block, index) => {
    const previous = blocks[index - 1];
    const start = previous === undefined ? 0 : previous.lastLayer + 1;
    return block.index === index && block.firstLayer === start && block.lastLayer >= start;
  });
}
