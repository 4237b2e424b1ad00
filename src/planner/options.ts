import { z } from "zod";

const LIST_MAX = 10_000;

const layerListSchema = z.array(z.number().int().nonnegative()).max(LIST_MAX).default([]);
// Not `nameSchema`: offline queries name nodes that other tools have named.
const nodeListSchema = z.array(z.string().min(1).max(200)).max(LIST_MAX).default([]);

/** What a tier or a single node may do. */
const placementShape = {
  mustRunLayers: layerListSchema.describe("Numbers of layers that must run here."),
  mustNotRunLayers: layerListSchema.describe("Numbers of layers that must not run here."),
  uploadBytesMax: z
    .number()
    .nonnegative()
    .optional()
    .describe(
      "Bytes that may be sent onward from here per inference. For the device this includes the raw input; the way back of the result does not count.",
    ),
  computeMsMax: z
    .number()
    .nonnegative()
    .optional()
    .describe("Milliseconds of computing here per inference, at most."),
  computePercentMax: z
    .number()
    .min(0)
    .max(100)
    .optional()
    .describe("Share of the plan's computing time spent here, at most, in percent."),
};

const tierConstraintsSchema = z.strictObject({
  use: z
    .enum(["may", "must", "never"])
    .default("may")
    .describe("Whether this tier may, must or must never run layers."),
  nodes: nodeListSchema.describe("If not empty: this tier must be used, on one of these nodes."),
  ...placementShape,
});
export type TierConstraints = z.infer<typeof tierConstraintsSchema>;

const nodeConstraintsSchema = z.strictObject({
  node: z.string().min(1).max(200).describe("The node's name."),
  ...placementShape,
});
export type NodeConstraints = z.infer<typeof nodeConstraintsSchema>;

/** What a plan must respect: `constraints` of a pipeline, and the criteria of an offline query. */
export const constraintsSchema = z.strictObject({
  rawInputStaysOn: z
    .literal("device")
    .optional()
    .describe("`device`: whatever reads the raw input runs on the device, so it never leaves it."),
  minBlocksOnDevice: z
    .number()
    .int()
    .nonnegative()
    .default(0)
    .describe("At least this many blocks run on the device before data leaves it."),
  latencyMsMax: z
    .number()
    .positive()
    .optional()
    .describe("Deadline: plans with a longer predicted latency are refused."),
  nodes: z
    .strictObject({
      exclude: nodeListSchema.describe(
        "Nodes that run nothing. An excluded device still is the source of the data.",
      ),
      require: nodeListSchema.describe("Nodes that must all be used."),
    })
    .prefault({})
    .describe("Nodes that must or must not be used."),
  device: tierConstraintsSchema.prefault({}).describe("Limits of the device tier."),
  edge: tierConstraintsSchema.prefault({}).describe("Limits of the edge tier."),
  cloud: tierConstraintsSchema.prefault({}).describe("Limits of the cloud tier."),
  limits: z
    .array(nodeConstraintsSchema)
    .max(LIST_MAX)
    .default([])
    .describe("Limits of single nodes."),
});
export type Constraints = z.infer<typeof constraintsSchema>;

/** How a plan's latency is predicted. */
export const costModelSchema = z.strictObject({
  rttFactor: z
    .number()
    .min(0)
    .max(10)
    .default(0.5)
    .describe("Round trips that a transfer costs beside its bytes; Scission counts a whole one."),
  returnResult: z
    .boolean()
    .default(true)
    .describe("Whether the result travels back to the device; Scission leaves it where it is."),
});
export type CostModel = z.infer<typeof costModelSchema>;

/** Scission's own cost model. */
export const SCISSION_COST_MODEL: CostModel = { rttFactor: 1, returnResult: false };

const weightSchema = z.number().nonnegative().max(1e12).default(0);

/** What plans are ranked by. */
export const objectiveSchema = z
  .union([
    z.enum(["latency", "throughput", "energy", "cost"]),
    z.strictObject({
      latency: weightSchema.describe("Weight of one second of latency."),
      energy: weightSchema.describe("Weight of one joule."),
      cost: weightSchema.describe("Weight of one unit of the currency that prices are in."),
    }),
  ])
  .default("latency")
  .describe(
    "latency; throughput (the longest stage counts); energy (needs activeWatts and joulesPerMegabyte); cost (needs pricePerHour and pricePerGigabyte); or weights of latency, energy and cost.",
  );
export type Objective = z.infer<typeof objectiveSchema>;
