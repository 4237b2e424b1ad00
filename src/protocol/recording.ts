import { z } from "zod";
import { nameSchema } from "./names.js";
import { decisionSchema } from "./plan.js";

/** One line of a recording: what was heard of a link, or what was decided. */
export const recordSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("link"),
    /** Unix milliseconds. */
    at: z.number().int().nonnegative(),
    from: nameSchema,
    to: nameSchema,
    rttMs: z.number().min(0).max(600_000).optional(),
    bandwidthMbps: z.number().min(0).max(1_000_000).optional(),
    lossPercent: z.number().min(0).max(100).optional(),
  }),
  z.strictObject({ kind: z.literal("decision"), ...decisionSchema.shape }),
]);
/** A recording is a file of these, a line of JSON each, in order of arrival. */
export type Recorded = z.infer<typeof recordSchema>;
