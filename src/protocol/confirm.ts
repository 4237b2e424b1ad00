import { z } from "zod";
import { inputBindingSchema, leaseMsSchema, sidecarsSchema } from "./mqtt.js";
import { modelRefSchema, nameSchema, sha256Schema } from "./names.js";
import { environmentSchema } from "./profile.js";

/** Ranges that are measured at once: a plan has few partitions on one node. */
export const CONFIRMED_AT_ONCE_MAX = 16;

const layerRangeSchema = z.strictObject({
  firstLayer: z.number().int().nonnegative(),
  /** Inclusive. */
  lastLayer: z.number().int().nonnegative(),
});

/** The command `measure`: what these ranges of layers take as partitions. */
export const measureCommandSchema = z.strictObject({
  id: z.string().min(1).max(64),
  model: modelRefSchema,
  inputs: z.array(inputBindingSchema).max(1_000),
  /** The model's external data, as with a benchmark. */
  sidecars: sidecarsSchema.optional(),
  /** As the blocks were cut: what crosses the ends of the ranges is looked for by it. */
  maxCutTensors: z.number().int().min(1).max(64),
  ranges: z.array(layerRangeSchema).min(1).max(CONFIRMED_AT_ONCE_MAX),
  /**
   * What the whole model takes by the profile with which the answer is compared, in milliseconds: times
   * are told for the speed at which it takes that. Absent: as they are at this moment.
   */
  wholeMs: z.number().positive().optional(),
  timeoutMs: z.number().int().positive().max(86_400_000),
  leaseMs: leaseMsSchema.optional(),
});
export type MeasureCommand = z.infer<typeof measureCommandSchema>;

/** A range of layers, run as the one model that a runtime would run. */
export const measuredRangeSchema = layerRangeSchema.extend({
  /**
   * Milliseconds, with the call's own cost, as a runtime pays it; emulation has multiplied them. For the
   * speed that `wholeMs` of the command names.
   */
  medianMs: z.number().nonnegative(),
  p95Ms: z.number().nonnegative(),
  /** Interquartile range. */
  spreadMs: z.number().nonnegative(),
  repeats: z.number().int().positive(),
  /** Whether the median was known as precisely as asked before time or repeats ended. */
  stable: z.boolean(),
});
export type MeasuredLayers = z.infer<typeof measuredRangeSchema>;

/** What one opening of the model measured. */
export const rangeMeasurementSchema = z.strictObject({
  /** Unix milliseconds. */
  measuredAt: z.number().int().nonnegative(),
  externalSha256: sha256Schema.optional(),
  environment: environmentSchema,
  /** What the whole model took beside them, in milliseconds; absent where it could not be open, too. */
  wholeMs: z.number().nonnegative().optional(),
  ranges: z.array(measuredRangeSchema).max(CONFIRMED_AT_ONCE_MAX),
});
export type RangeMeasurement = z.infer<typeof rangeMeasurementSchema>;

/**
 * `data` of the command's answer. A node that is busy is asked again later; `failed`: the partitions did
 * not run, so no plan with them is published.
 */
export const measureAnswerSchema = z.discriminatedUnion("kind", [
  rangeMeasurementSchema.extend({ kind: z.literal("measured") }),
  z.strictObject({ kind: z.literal("busy") }),
  z.strictObject({ kind: z.literal("failed"), reason: z.string().max(4_000) }),
]);
export type MeasureAnswer = z.infer<typeof measureAnswerSchema>;

/** A measured range as it is kept: it serves its node's hardware class, while the profile is what it was. */
export const confirmedRangeSchema = measuredRangeSchema.extend({
  modelSha256: sha256Schema,
  externalSha256: sha256Schema.optional(),
  /** On which it was measured. */
  node: nameSchema,
  hardwareClass: z.string().min(1).max(200),
  measuredAt: z.number().int().nonnegative(),
  environment: environmentSchema,
  /** What was known of the whole model then: where that changes, so does what the range takes. */
  profile: z.strictObject({
    wholeMs: z.number().nonnegative(),
    /** When its blocks were measured. */
    fullAt: z.number().int().nonnegative(),
  }),
});
export type ConfirmedRange = z.infer<typeof confirmedRangeSchema>;
