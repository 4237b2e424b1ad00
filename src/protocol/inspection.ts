import { z } from "zod";
import { modelRefSchema } from "./names.js";
import { tensorInfoSchema } from "./profile.js";

/** A place between two layers at which the model may be split. */
export const cutPointSchema = z.strictObject({
  index: z.number().int().nonnegative(),
  afterLayer: z.number().int().nonnegative(),
  tensors: z.array(tensorInfoSchema).min(1),
  /** A cut here splits what ONNX Runtime fuses, and so costs time. */
  fused: z.boolean(),
});
export type CutPointInfo = z.infer<typeof cutPointSchema>;

/** What `inspect --json` prints. */
export const inspectionSchema = z.strictObject({
  model: modelRefSchema,
  layers: z.number().int().nonnegative(),
  inputs: z.array(tensorInfoSchema),
  outputs: z.array(tensorInfoSchema),
  cutPoints: z.array(cutPointSchema),
});
export type Inspection = z.infer<typeof inspectionSchema>;
