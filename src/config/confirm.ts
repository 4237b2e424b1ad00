import { z } from "zod";

/** How a plan's partitions are measured before it is published. */
export const confirmSchema = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .describe(
      "Whether the partitions of a better plan are measured on the nodes that would run them before it replaces the one in force.",
    ),
  roundsMax: z
    .number()
    .int()
    .min(1)
    .max(100)
    .default(10)
    .describe(
      "What was measured may make another plan the best, which is measured in turn; after so many, the best plan of measured parts counts.",
    ),
  timeoutMs: z
    .number()
    .int()
    .min(1)
    .max(3_600_000)
    .default(60_000)
    .describe("So long may one measurement take, and all that one decision waits for."),
  maxAgeHours: z
    .number()
    .positive()
    .max(87_600)
    .default(48)
    .describe("What was measured longer ago is measured again."),
  rangesMax: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(1_000)
    .describe("Measured partitions that are kept, of all models and nodes; the oldest go first."),
});
export type ConfirmConfig = z.infer<typeof confirmSchema>;
