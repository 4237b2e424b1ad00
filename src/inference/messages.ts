import { z } from "zod";
import { ERROR_CODES, type ErrorCode } from "../core/index.js";
import {
  cutPointSchema,
  environmentSchema,
  equalitySchema,
  inputBindingSchema,
  kernelOrderSchema,
  modelRefSchema,
  sha256Schema,
  sidecarSchema,
  tensorInfoSchema,
} from "../protocol/index.js";

/** Of tensors that can be fed made-up values; made-up indices may lie outside of what they index. */
export const MADE_UP_DTYPES: ReadonlySet<string> = new Set(["float32", "float64", "float16"]);

/** What the child is told once, as JSON in its only argument. */
export const childConfigSchema = z.strictObject({
  threads: z.number().int().positive(),
  executionProviders: z.array(z.string()).min(1),
  modelBytesMax: z.number().int().positive(),
  /** At which its parent kills it. */
  memoryLimitMiB: z.number().int().positive(),
  inputSeed: z.number().int().nonnegative(),
  relativeTolerance: z.number().nonnegative(),
  /** Private to this child; its parent removes it. */
  temporaryDirectory: z.string().min(1),
  /** Where optimised models are kept for later children; absent: nowhere. At 0 bytes what is there goes. */
  keep: z
    .strictObject({ directory: z.string().min(1), bytesMax: z.number().int().nonnegative() })
    .optional(),
});
export type ChildConfig = z.infer<typeof childConfigSchema>;

const rangeSchema = z.strictObject({
  firstLayer: z.number().int().nonnegative(),
  /** Inclusive. */
  lastLayer: z.number().int().nonnegative(),
});
export type LayerRange = z.infer<typeof rangeSchema>;

const targetSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("whole") }),
  rangeSchema.extend({ kind: z.literal("range") }),
  rangeSchema.extend({ kind: z.literal("alone") }),
  z.strictObject({ kind: z.literal("nothing") }),
]);
/**
 * What is measured: the whole model; its layers from first to last on what the model computes, or
 * `alone` on made-up tensors; or a call that does nothing.
 */
export type MeasureTarget = z.infer<typeof targetSchema>;

const stabilitySchema = z.strictObject({
  /** Half the confidence interval of the median, as a share of the median. */
  relativeHalfWidth: z.number().nonnegative(),
  confidence: z.number().min(0).max(1),
  /** Being wrong by this much does not matter. */
  negligibleMs: z.number().nonnegative(),
  /** What an earlier measurement found: runs whose median is that far off at most suffice, be it one. */
  earlier: z
    .strictObject({ timeMs: z.number().positive(), relativeHalfWidth: z.number().nonnegative() })
    .optional(),
  repeatsMax: z.number().int().positive(),
});
/** When a median counts as known. */
export type Stability = z.infer<typeof stabilitySchema>;

const repeatSchema = z.strictObject({
  warmups: z.number().int().nonnegative(),
  repeats: z.number().int().positive(),
  /**
   * Warm-ups, if any, go on for so long at least, or `SETTLED_RUNS` times: short models take some runs
   * until they are as fast as they stay. Absent: 0.
   */
  settleMs: z.number().nonnegative().optional(),
  /** The same of timed runs: what short ones take is known by many. Absent: 0. */
  runForMs: z.number().nonnegative().optional(),
  /** Goes on after `repeats` until this holds or its own limit is reached; absent: times just so many. */
  stability: stabilitySchema.optional(),
  /** No further repeat starts after this time, warm-ups counted; one always runs. */
  budgetMs: z.number().positive(),
});
export type Repeat = z.infer<typeof repeatSchema>;

const inputFileSchema = z.strictObject({
  /** Of the input; in a .npz file, of the array too. */
  name: z.string().min(1),
  path: z.string().min(1),
});
/** A user's own data for an input: .npy, .npz, or raw elements. */
export type InputFile = z.infer<typeof inputFileSchema>;

const knownModelSchema = z.strictObject({
  sha256: sha256Schema,
  externalSha256: sha256Schema.optional(),
  environment: environmentSchema.omit({ emulatedSlowdown: true }),
  layers: z.number().int().nonnegative(),
  outputs: z.array(tensorInfoSchema),
  /** None inside a fusion. */
  cutPoints: z.array(
    z.strictObject({
      afterLayer: z.number().int().nonnegative(),
      tensors: z.array(tensorInfoSchema),
    }),
  ),
});
/** What an earlier opening found out with the same inputs and options. */
export type KnownModel = z.infer<typeof knownModelSchema>;

export const requestBodySchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("open"),
    path: z.string().min(1),
    modelName: z.string().min(1).max(200).optional(),
    inputs: z.array(inputBindingSchema),
    inputFiles: z.array(inputFileSchema).optional(),
    /** 0: no cut points are looked for. */
    maxCutTensors: z.number().int().nonnegative(),
    /** Where model and environment are still the same, it is not found out again. */
    known: knownModelSchema.optional(),
  }),
  z.strictObject({ kind: z.literal("measure"), target: targetSchema, repeat: repeatSchema }),
  z.strictObject({
    kind: z.literal("turn"),
    ranges: z.array(rangeSchema).min(1),
    repeat: repeatSchema,
  }),
  z.strictObject({
    kind: z.literal("profile"),
    /** Last layers before each cut, in order. */
    cuts: z.array(z.number().int().nonnegative()),
    /** Runs under ONNX Runtime's profiler, after the warm-ups and before the timed runs. */
    profiled: z.number().int().positive(),
    repeat: repeatSchema,
    /** As an earlier profile of the same model, cuts and environment told it: spares a look at the graph. */
    order: kernelOrderSchema.optional(),
  }),
  z.strictObject({ kind: z.literal("compare") }),
  z.strictObject({ kind: z.literal("sidecars"), path: z.string().min(1) }),
  z.strictObject({ kind: z.literal("probe"), provider: z.string() }),
  z.strictObject({ kind: z.literal("extract"), range: rangeSchema, path: z.string().min(1) }),
]);
export type RequestBody = z.infer<typeof requestBodySchema>;
export type ProfileRequest = Omit<Extract<RequestBody, { kind: "profile" }>, "kind">;
export type OpenRequest = Omit<Extract<RequestBody, { kind: "open" }>, "kind">;

export const requestSchema = z.strictObject({
  id: z.number().int().nonnegative(),
  body: requestBodySchema,
});

export const openedModelSchema = z.strictObject({
  model: modelRefSchema,
  /** Of the external data as it was read; absent where the model has none. */
  externalSha256: sha256Schema.optional(),
  layers: z.number().int().nonnegative(),
  inputs: z.array(tensorInfoSchema),
  /** Outputs that are tensors; others are named in `notes`. */
  outputs: z.array(tensorInfoSchema),
  cutPoints: z.array(cutPointSchema),
  environment: environmentSchema.omit({ emulatedSlowdown: true }),
  /** Whether that is what `known` said. */
  wasKnown: z.boolean(),
  /** What was assumed or left out, in plain words. */
  notes: z.array(z.string()),
});
export type OpenedModel = z.infer<typeof openedModelSchema>;

/** Files beside a model that hold weights of it, as they were when their reading began. */
export const listedSidecarsSchema = z
  .array(sidecarSchema.extend({ modifiedMs: z.number() }))
  .max(1_000);
export type ListedSidecar = z.infer<typeof listedSidecarsSchema>[number];

export const measuredSchema = z.strictObject({
  samplesMs: z.array(z.number().nonnegative()).min(1),
  /** False when time or repeats ended before the median was known as asked. */
  stable: z.boolean(),
  /** How long it took to open what was run. */
  openMs: z.number().nonnegative(),
  outputs: z.array(tensorInfoSchema),
});
export type Measured = z.infer<typeof measuredSchema>;

/** What ranges of layers take, and the whole model in the same moment. */
export const turnSchema = z.strictObject({
  /** Milliseconds; absent where there is no memory for it beside its parts, or it does not open. */
  wholeMs: z.number().nonnegative().optional(),
  /** Of each range. */
  samplesMs: z.array(z.array(z.number().nonnegative()).min(1)).min(1),
});
export type Turn = z.infer<typeof turnSchema>;

const kernelBlocksSchema = z.union([
  z.strictObject({
    /** Of each block between the cuts, the sum of what its kernels take within the whole model. */
    blockMs: z.array(z.number().nonnegative()).min(1),
    /** Absent for graphs with loops or branches. */
    order: kernelOrderSchema.optional(),
  }),
  z.strictObject({ reason: z.string() }),
]);
export type { KernelOrder } from "../protocol/index.js";
/** Times of blocks from ONNX Runtime's profile, or why there are none. */
export type KernelBlocks = z.infer<typeof kernelBlocksSchema>;

export const profiledSchema = z.strictObject({
  whole: measuredSchema,
  kernels: kernelBlocksSchema,
});
export type Profiled = z.infer<typeof profiledSchema>;

export const providerStateSchema = z.strictObject({
  name: z.string(),
  available: z.boolean(),
  /** Why it is not. */
  reason: z.string().optional(),
});
export type ProviderState = z.infer<typeof providerStateSchema>;

export const comparedSchema = equalitySchema;
export type Compared = z.infer<typeof comparedSchema>;

export const extractedSchema = z.strictObject({
  sha256: sha256Schema,
  bytes: z.number().int().nonnegative(),
  /** Of the external data as it was read; absent where the model has none. */
  externalSha256: sha256Schema.optional(),
  inputs: z.array(tensorInfoSchema),
  outputs: z.array(tensorInfoSchema),
});
export type Extracted = z.infer<typeof extractedSchema>;

export const responseSchema = z.discriminatedUnion("type", [
  /** ONNX Runtime is loaded; sent once. */
  z.strictObject({ type: z.literal("ready") }),
  z.strictObject({ type: z.literal("result"), id: z.number().int(), value: z.unknown() }),
  z.strictObject({
    type: z.literal("failure"),
    id: z.number().int(),
    code: z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]),
    message: z.string(),
  }),
]);
export type ChildResponse = z.infer<typeof responseSchema>;
