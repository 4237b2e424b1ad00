import { z } from "zod";
import { modelRefSchema, nameSchema, sha256Schema, tierSchema } from "./names.js";
import { tensorInfoSchema } from "./profile.js";

/** Consecutive layers on one node. A runtime downloads `artifact`, feeds `inputs`, hands on `outputs`. */
export const partitionSchema = z.strictObject({
  node: nameSchema,
  tier: tierSchema,
  firstLayer: z.number().int().nonnegative(),
  lastLayer: z.number().int().nonnegative(),
  computeMs: z.number().nonnegative(),
  /**
   * Whether `computeMs` was measured for these very layers. Else it is what their blocks sum to, times how
   * far such sums are off where partitions of this node were measured. Absent in plans of older
   * versions, and where confirming is turned off.
   */
  confirmed: z.boolean().optional(),
  /** What the blocks sum to; absent where `computeMs` was not measured. */
  estimateMs: z.number().nonnegative().optional(),
  inputs: z.array(tensorInfoSchema),
  outputs: z.array(tensorInfoSchema),
  artifact: z.strictObject({
    sha256: sha256Schema,
    bytes: z.number().int().nonnegative(),
    /** Path on the daemon's HTTP server. */
    path: z.string(),
  }),
});
export type Partition = z.infer<typeof partitionSchema>;

export const hopSchema = z.strictObject({
  from: nameSchema,
  to: nameSchema,
  bytes: z.number().int().nonnegative(),
  transferMs: z.number().nonnegative(),
});
export type Hop = z.infer<typeof hopSchema>;

/** One published configuration of one pipeline. (pipeline, epoch, revision) is unique for ever. */
export const planDocumentSchema = z.strictObject({
  pipeline: nameSchema,
  epoch: z.string().min(1).max(64),
  revision: z.number().int().positive(),
  /** Unix milliseconds. */
  publishedAt: z.number().int().nonnegative(),
  model: modelRefSchema,
  /** Of the model's external data, which is inside of its partitions; absent where it has none. */
  externalSha256: sha256Schema.optional(),
  /** The device at which the input arises. */
  source: nameSchema,
  predictedLatencyMs: z.number().nonnegative(),
  transferBytes: z.number().int().nonnegative(),
  partitions: z.array(partitionSchema).min(1).max(64),
  /** In order of flow; the last one brings the result back to the source, where that is another node. */
  hops: z.array(hopSchema).max(65),
  /** What a runtime that loses the network runs alone on the device; null where that is forbidden. */
  fallback: partitionSchema.nullable(),
  /** Why this plan was published, in plain words. */
  reason: z.string(),
});
export type PlanDocument = z.infer<typeof planDocumentSchema>;

export const triggerSchema = z.strictObject({
  kind: z.enum([
    "initial",
    "link",
    "compute",
    "load",
    "presence",
    "stale",
    "configuration",
    "infeasible",
    "rollout",
    "operator",
  ]),
  /** "bandwidth cam-1 → edge-1", "node gpu-1". */
  subject: z.string(),
  before: z.number().nullable(),
  after: z.number().nullable(),
  unit: z.string(),
  /** How long the change had lasted; absent where it counts at once. */
  heldSeconds: z.number().nonnegative().optional(),
});
export type Trigger = z.infer<typeof triggerSchema>;

/** A decision, taken or declined. */
export const decisionSchema = z.strictObject({
  at: z.number().int().nonnegative(),
  pipeline: nameSchema,
  triggers: z.array(triggerSchema),
  /** `aborted`: nobody switched. `incomplete`: in force, yet not at every runtime. */
  verdict: z.enum([
    "published",
    "kept",
    "deferred",
    /** A better plan is being measured where it would run. */
    "confirming",
    "infeasible",
    "aborted",
    "incomplete",
  ]),
  /** The plan in force, priced in the new context; null when it has become infeasible or none exists. */
  currentLatencyMs: z.number().nonnegative().nullable(),
  bestLatencyMs: z.number().nonnegative().nullable(),
  gainPercent: z.number().nullable(),
  /** The revision in force after the decision; null before the first. */
  revision: z.number().int().positive().nullable(),
  /** How far the best plan was measured where it runs; absent where confirming is turned off. */
  confirmation: z
    .strictObject({
      /** Whether all its partitions were. */
      confirmed: z.boolean(),
      /** What its partitions take together as their blocks promise, and as far as measured. */
      estimatedComputeMs: z.number().nonnegative(),
      computeMs: z.number().nonnegative(),
      /** What keeps it from being confirmed; absent where nothing does. */
      reason: z.string().max(2_000).optional(),
    })
    .optional(),
  /** One sentence for people. */
  summary: z.string(),
});
export type Decision = z.infer<typeof decisionSchema>;
