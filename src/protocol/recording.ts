import { z } from "zod";
import { linkReportSchema } from "./mqtt.js";
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
    rttMs: linkReportSchema.shape.rttMs,
    bandwidthMbps: linkReportSchema.shape.bandwidthMbps,
    lossPercent: linkReportSchema.shape.lossPercent,
    jitterMs: linkReportSchema.shape.jitterMs,
    source: linkReportSchema.shape.source,
  }),
  z.strictObject({ kind: z.literal("decision"), ...decisionSchema.shape }),
]);
/** A recording is a file of these, a line of JSON each, in order of arrival. */
export type Recorded = z.infer<typeof recordSchema>;
