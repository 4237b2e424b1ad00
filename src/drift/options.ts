import { z } from "zod";
import { quietHoursSchema } from "./quiet-hours.js";

const SWITCHES_PER_HOUR_MAX = 3_600;

/** Thresholds of drift and of the decision that follows it; the YAML's `thresholds`. */
export const driftOptionsSchema = z.strictObject({
  smoothingHalfLifeSeconds: z
    .number()
    .positive()
    .max(86_400)
    .default(10)
    .describe("Age at which a sample counts half. Longer is calmer, shorter is quicker."),
  newestSamplePercent: z
    .number()
    .min(0)
    .max(100)
    .default(40)
    .describe(
      "Share of the newest sample in the expected latency; the recent samples, weighted by age, make up the rest.",
    ),
  fallbackMs: z
    .number()
    .nonnegative()
    .max(3_600_000)
    .default(1_000)
    .describe(
      "What a request loses when a transfer fails and the device computes alone. No transfer is taken to cost more.",
    ),
  linkChangePercent: z
    .number()
    .positive()
    .max(1_000)
    .default(20)
    .describe(
      "A link's time per bit or round trip has drifted when it changes by more than this. Told in decision records; a new plan is judged by what plans are expected to take.",
    ),
  rttChangeMs: z
    .number()
    .nonnegative()
    .default(3)
    .describe("Changes of a round trip below this never count, whatever their percentage."),
  detector: z
    .enum(["threshold", "pageHinkley"])
    .default("threshold")
    .describe(
      "How drift of a link's round trip and bandwidth is told: `threshold` asks for a change that lasts holdSeconds; `pageHinkley` adds up what exceeds half the threshold, so small changes that last count too and short ones do not.",
    ),
  hysteresisPercent: z
    .number()
    .min(0)
    .max(100)
    .default(25)
    .describe(
      "A metric that has drifted is back only when its change is below the threshold by this share of it.",
    ),
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
    .default(0)
    .describe("How long a deviation, or the gain of a new plan, must last before it counts."),
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
  switchesPerHourMax: z
    .number()
    .int()
    .positive()
    .max(SWITCHES_PER_HOUR_MAX)
    .default(SWITCHES_PER_HOUR_MAX)
    .describe("Most plans that drift may publish for one pipeline in any hour."),
  allSwitchesPerHourMax: z
    .number()
    .int()
    .positive()
    .max(10 * SWITCHES_PER_HOUR_MAX)
    .default(10 * SWITCHES_PER_HOUR_MAX)
    .describe(
      "Most plans that drift may publish for this pipeline when all pipelines are counted.",
    ),
  quietHours: quietHoursSchema
    .default([])
    .describe(
      "Times of day, UTC, at which drift publishes nothing. A plan that cannot run any more is replaced all the same.",
    ),
  minGainPercent: z
    .number()
    .min(0)
    .max(100)
    .default(4)
    .describe(
      "Publish only if the new plan beats the current one, in the new context, by this much.",
    ),
  switchCostMs: z
    .number()
    .nonnegative()
    .max(3_600_000)
    .nullable()
    .default(null)
    .describe("What a switch to another plan costs the requests it hits, if that is known."),
  switchCostPercent: z
    .number()
    .min(0)
    .max(10_000)
    .default(60)
    .describe(
      "Where switchCostMs is not given: what a switch is taken to cost, as a share of the latency of one request.",
    ),
  regimeSeconds: z
    .number()
    .positive()
    .max(86_400)
    .default(8)
    .describe(
      "How long a change is expected to last: a switch must pay for itself within this time, at one request a second.",
    ),
  regretPercent: z
    .number()
    .min(0)
    .max(100)
    .default(50)
    .describe(
      "How much of a switch's cost staying must have lost already before the plan is switched. At 100 % it is switched even where it would not pay within regimeSeconds.",
    ),
  regretSlackPercent: z
    .number()
    .min(0)
    .max(100)
    .default(5)
    .describe("Losses by staying that are below this share of the latency do not add up."),
});
export type DriftOptions = z.infer<typeof driftOptionsSchema>;

const RULES_MAX = 100;

/** Which sources of link reports count how much; the first rule that fits decides. */
export const sourceRulesSchema = z
  .array(
    z.strictObject({
      match: z
        .string()
        .regex(/^[\w.*-]{1,63}$/, "use letters, digits, _, ., - and * for any number of them")
        .describe('Name of the source; * stands for any characters: "telegraf-*".'),
      weight: z
        .number()
        .min(0)
        .max(1_000)
        .describe("How much it counts beside others of the same link; 0: it is ignored."),
    }),
  )
  .max(RULES_MAX);
export type SourceRules = z.infer<typeof sourceRulesSchema>;

/** Real transfers tell most, then the project's own probes, then everybody else. */
export const DEFAULT_SOURCE_RULES: SourceRules = [
  { match: "runtime*", weight: 4 },
  { match: "probe*", weight: 2 },
  { match: "*", weight: 1 },
];
