import { z } from "zod";
import { nameSchema } from "./names.js";

/** Who runs which layers, as an operator says it. */
export const pinSchema = z
  .array(
    z.strictObject({
      node: nameSchema,
      firstLayer: z.number().int().nonnegative(),
      /** Inclusive. */
      lastLayer: z.number().int().nonnegative(),
    }),
  )
  .min(1)
  .max(64);
export type Pin = z.infer<typeof pinSchema>;

/** `POST /api/v1/pipelines/<name>/control`: what an operator may ask for. */
export const controlSchema = z.discriminatedUnion("action", [
  /** Keep the plan in force, whatever happens, until `resume`. */
  z.strictObject({ action: z.literal("pause") }),
  /** Plan freely again: ends `pause`, `pin` and `rollback`. */
  z.strictObject({ action: z.literal("resume") }),
  /** Run this configuration, as long as it is possible, until `resume`. */
  z.strictObject({ action: z.literal("pin"), partitions: pinSchema }),
  /** Pin the configuration before the present one. */
  z.strictObject({ action: z.literal("rollback") }),
  /** Judge the plan anew now. */
  z.strictObject({ action: z.literal("replan") }),
  /** Benchmark everything anew now. */
  z.strictObject({ action: z.literal("bench") }),
]);
export type Control = z.infer<typeof controlSchema>;
