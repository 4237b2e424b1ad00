import { z } from "zod";
import { modelRefSchema, nameSchema, tierSchema } from "./names.js";
import { progressSchema } from "./progress.js";
import { decisionSchema, planDocumentSchema } from "./plan.js";

/** `GET /api/v1/status`. */
export const statusSchema = z.strictObject({
  version: z.string(),
  site: nameSchema,
  node: nameSchema,
  epoch: z.string(),
  at: z.number().int().nonnegative(),
  uptimeSeconds: z.number().nonnegative(),
  ready: z.boolean(),
  /** What keeps it from being well, in plain words; empty when all is well. */
  problems: z.array(z.string()),
  mqtt: z.strictObject({ connected: z.boolean(), broker: z.string() }),
  nodes: z.array(
    z.strictObject({
      name: nameSchema,
      tier: tierSchema,
      hardwareClass: nameSchema,
      online: z.boolean(),
      emulatedSlowdown: z.number().positive(),
      /**
       * How many times as long it takes for whoever comes as when it is idle, by the plans in force and by
       * what its runtime measures. Left out by daemons of before it was told.
       */
      loadFactor: z.number().min(1).optional(),
    }),
  ),
  links: z.array(
    z.strictObject({
      from: nameSchema,
      to: nameSchema,
      rttMs: z.number().nullable(),
      bandwidthMbps: z.number().nullable(),
      /** Left out by daemons of before it was measured. */
      jitterMs: z.number().nullable().optional(),
      lossPercent: z.number().nullable(),
      ageSeconds: z.number().nonnegative(),
      stale: z.boolean(),
    }),
  ),
  profiles: z.array(
    z.strictObject({
      model: modelRefSchema,
      node: nameSchema,
      measuredAt: z.number().int().nonnegative(),
      wholeMs: z.number().nonnegative(),
      blocks: z.number().int().positive(),
    }),
  ),
  benchmark: z.strictObject({
    running: z.string().nullable(),
    nextRunAt: z.number().int().nonnegative().nullable(),
    /** What came of the last one, in plain words. */
    lastOutcome: z.string().nullable().optional(),
    /** How far those are that tell. */
    progress: z.array(progressSchema.extend({ node: nameSchema })).optional(),
    /** What is being confirmed: "layers 0–22 of mobilenet on cam-1"; absent where nothing is. */
    confirming: z.string().optional(),
  }),
  pipelines: z.array(
    z.strictObject({
      name: nameSchema,
      model: z.string(),
      source: nameSchema,
      plan: planDocumentSchema.nullable(),
      lastDecision: decisionSchema.nullable(),
      /** A revision on its way into force; absent where there is none. */
      rollout: z
        .strictObject({
          revision: z.number().int().positive(),
          phase: z.enum(["preparing", "committing", "activating"]),
          waitingFor: z.array(nameSchema),
        })
        .optional(),
    }),
  ),
  subscribers: z.number().int().nonnegative(),
});
export type Status = z.infer<typeof statusSchema>;
