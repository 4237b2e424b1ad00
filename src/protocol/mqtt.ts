import { z } from "zod";
import { modelRefSchema, nameSchema, sha256Schema, tierSchema } from "./names.js";
import { environmentSchema } from "./profile.js";

const missingProviderSchema = z.strictObject({
  name: z.string().min(1).max(64),
  reason: z.string().max(2_000),
});
/** An execution provider that a node was to have and cannot use, and why. */
export type MissingProvider = z.infer<typeof missingProviderSchema>;

/** Retained state of a node, and its last will. `bootId` keeps an old will from killing a new session. */
export const nodeStateSchema = z.strictObject({
  node: nameSchema,
  status: z.enum(["online", "offline"]),
  bootId: z.string().min(1).max(64),
  tier: tierSchema,
  hardwareClass: nameSchema,
  version: z.string().max(64),
  logicalCores: z.number().int().nonnegative(),
  memoryBytes: z.number().int().nonnegative(),
  emulatedSlowdown: z.number().positive(),
  models: z.array(modelRefSchema).max(1_000),
  /** Equal for nodes of one machine, which are never measured at once; absent where it cannot be told. */
  hostId: z.string().min(1).max(64).optional(),
  /** What the node would be measured in now: a profile of another environment is stale. */
  environment: environmentSchema.omit({ emulatedSlowdown: true }).optional(),
  /** Execution providers that are configured and do not compute there: it cannot measure. */
  missingProviders: z.array(missingProviderSchema).max(8).optional(),
});
export type NodeState = z.infer<typeof nodeStateSchema>;

const sourceNameSchema = z
  .string()
  .regex(/^[\w.-]{1,63}$/, "use 1 to 63 letters, digits, _, . and -");

/** A measured directed link. The range limits reject units that are wrong by factors, not slow links. */
export const linkReportSchema = z
  .strictObject({
    rttMs: z.number().min(0).max(600_000).optional(),
    bandwidthMbps: z.number().min(0).max(1_000_000).optional(),
    lossPercent: z.number().min(0).max(100).optional(),
    /** How much round trips differ: mean difference of one to the next. Told, never planned with. */
    jitterMs: z.number().min(0).max(600_000).optional(),
    /** Who measured: "runtime", "probe-cam-1", "telegraf". Sources are weighed by it. */
    source: sourceNameSchema.optional(),
    /** Unix milliseconds of the measurement; without it the arrival counts. */
    at: z.number().int().positive().optional(),
  })
  .refine(
    (report) =>
      report.rttMs !== undefined ||
      report.bandwidthMbps !== undefined ||
      report.lossPercent !== undefined,
    { message: "give at least one of rttMs, bandwidthMbps, lossPercent" },
  );
export type LinkReport = z.infer<typeof linkReportSchema>;

/**
 * How an axis of unknown length and the fill of an input are bound: all elements `value`, or seeded
 * random in `range`, whole numbers with both ends; without either floats in [0, 1) and ones.
 */
export const inputBindingSchema = z.strictObject({
  name: z.string().min(1),
  shape: z.array(z.number().int().nonnegative()).max(16),
  value: z.number().optional(),
  range: z.tuple([z.number(), z.number()]).optional(),
});
export type InputBinding = z.infer<typeof inputBindingSchema>;

/** A file beside a model that holds some of its weights. */
export const sidecarSchema = z.strictObject({
  /** As the model names it: relative to the model's own directory. */
  location: z.string().min(1).max(1_024),
  bytes: z.number().int().nonnegative(),
  sha256: sha256Schema,
});
export type Sidecar = z.infer<typeof sidecarSchema>;

const SIDECARS_MAX = 1_000;
export const sidecarsSchema = z.array(sidecarSchema).max(SIDECARS_MAX);

/**
 * Whoever waits for the answer repeats the command, under the same id, within this long; once it has
 * not, the node ends the work. 0 ends it at once.
 */
export const leaseMsSchema = z.number().int().nonnegative().max(600_000);

export const benchmarkCommandSchema = z.strictObject({
  id: z.string().min(1).max(64),
  model: modelRefSchema,
  inputs: z.array(inputBindingSchema).max(1_000),
  /** All nodes must cut a model alike, or their profiles share no blocks. */
  maxCutTensors: z.number().int().min(1).max(64),
  timeoutMs: z.number().int().positive().max(86_400_000),
  /** Where a short look says that the node's last profile still holds, that is enough. */
  look: z.boolean().optional(),
  sidecars: sidecarsSchema.optional(),
  leaseMs: leaseMsSchema.optional(),
});
export type BenchmarkCommand = z.infer<typeof benchmarkCommandSchema>;

/** `data` of a benchmark's answer: the profile itself travels on its own retained topic. */
export const benchmarkAnswerSchema = z.object({
  /** That of the profile. */
  measuredAt: z.number().int().nonnegative(),
  wholeMs: z.number().nonnegative(),
  /** What was done and why, for people. */
  outcome: z.string().max(500).optional(),
});
export type BenchmarkAnswer = z.infer<typeof benchmarkAnswerSchema>;

/** The node has live work to do: benchmarks make room for this long, unless they are told so again. */
export const yieldCommandSchema = z.strictObject({
  id: z.string().min(1).max(64),
  forMs: z.number().int().positive().max(60_000),
  /** More than it can serve: they pause. */
  overload: z.boolean().default(false),
});

export const commandResponseSchema = z.discriminatedUnion("status", [
  z.strictObject({ id: z.string().min(1).max(64), status: z.literal("ok"), data: z.unknown() }),
  z.strictObject({
    id: z.string().min(1).max(64),
    status: z.literal("error"),
    error: z.strictObject({ code: z.string().max(64), message: z.string().max(4_000) }),
  }),
]);
export type CommandResponse = z.infer<typeof commandResponseSchema>;
