import { z } from "zod";

/** Names that become topics, paths and metric labels. Nothing else is ever built into one. */
export const nameSchema = z
  .string()
  .regex(/^[a-z0-9-]{1,63}$/, "use 1 to 63 of a-z, 0-9 and -")
  .describe("A name: 1 to 63 lower-case letters, digits and hyphens.");

export const sha256Schema = z
  .string()
  .regex(/^[0-9a-f]{64}$/, "a SHA-256 is 64 hexadecimal digits");

export const TIERS = ["device", "edge", "cloud"] as const;
export const tierSchema = z.enum(TIERS);
/** Data flows device → edge → cloud. */
export type Tier = z.infer<typeof tierSchema>;

export const modelRefSchema = z.strictObject({
  /** For people; the SHA-256 is the identity. */
  name: z.string().min(1).max(200),
  sha256: sha256Schema,
});
export type ModelRef = z.infer<typeof modelRefSchema>;
