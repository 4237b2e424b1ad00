import { z } from "zod";
import { modelRefSchema, tierSchema } from "./names.js";

const PROFILE_BLOCKS_MAX = 20_000;

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
  medianMs: z.number().nonnegative(),
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

/** What `bench --json` prints, agents publish and `plan` reads. */
export const profileSchema = z
  .strictObject({
    model: modelRefSchema,
    node: z.strictObject({
      tier: tierSchema,
      name: z.string().min(1).max(200),
      hardwareClass: z.string().min(1).max(200),
    }),
    /** Unix milliseconds. */
    measuredAt: z.number().int().nonnegative(),
    environment: environmentSchema,
    inputBytes: z.number().int().nonnegative(),
    wholeMs: z.number().nonnegative(),
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
