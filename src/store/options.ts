import { z } from "zod";

export const storeOptionsSchema = z.strictObject({
  decisionsMax: z
    .number()
    .int()
    .min(1)
    .max(100_000)
    .default(1_000)
    .describe("Decision records kept; the oldest go first."),
  profilesMax: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(500)
    .describe("Profiles kept, one per model and node; the oldest go first."),
  fileBytesMax: z
    .number()
    .int()
    .min(65_536)
    .max(1_073_741_824)
    .default(268_435_456)
    .describe("Largest state file that is read or written."),
});
export type StoreOptions = z.infer<typeof storeOptionsSchema>;

export const recorderOptionsSchema = z.strictObject({
  enabled: z
    .boolean()
    .default(false)
    .describe("Whether link telemetry and decisions are recorded, for `scissiond replay`."),
  fileBytesMax: z
    .number()
    .int()
    .min(4_096)
    .max(1_073_741_824)
    .default(16_777_216)
    .describe("A file that has grown to this is set aside, and a new one begun."),
  filesMax: z
    .number()
    .int()
    .min(1)
    .max(100)
    .default(4)
    .describe("Files kept, the one being written included; the oldest go first."),
});
export type RecorderOptions = z.infer<typeof recorderOptionsSchema>;
