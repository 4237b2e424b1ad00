import { z } from "zod";

/** Thresholds of drift and of the decision that follows it; the YAML's `thresholds`. */
export const driftOptionsSchema = z.strictObject({
  smoothingHalfLifeSeconds: z
    .number()
    .positive()
    .max(86_400)
    .default(5)
    .describe("Age at which a sample counts half. Longer is calmer, shorter is quicker."),
  linkChangePercent: z
    .number()
    .positive()
    .max(1_000)
    .default(20)
    .describe("A link's time per bit or round trip has drifted when it changes by more than this."),
  rttChangeMs: z
    .number()
    .nonnegative()
    .default(3)
    .describe("Changes of a round trip below this never count, whatever their percentage."),
  computeChangePercent: z
    .number()
    .positive()
    .max(1_000)
    .default(15)
    .describe("A node's compute time has drifted when a new profile differs by more than this."),
  holdSeconds: z
    .number()
    .nonnegative()
    .max(86_400)
    .default(1)
    .describe("How long a deviation must last before it is drift."),
  staleSeconds: z
    .number()
    .positive()
    .max(86_400)
    .default(60)
    .describe(
      "A link without telemetry for this long is stale: its last value stays, and is marked.",
    ),
  cooldownSeconds: z
    .number()
    .nonnegative()
    .max(86_400)
    .default(1)
    .describe("Pause after a published plan before drift may publish the next one."),
  minGainPercent: z
    .number()
    .min(0)
    .max(100)
    .default(5)
    .describe(
      "Publish only if the new plan beats the current one, in the new context, by this much.",
    ),
});
export type DriftOptions = z.infer<typeof driftOptionsSchema>;
