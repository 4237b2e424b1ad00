import { z } from "zod";
import { modelRefSchema } from "./names.js";

const WORK_MAX = 1_000_000;
const SECONDS_MAX = 10_000_000;

/** How far a benchmark is: told again and again while it runs, never retained. */
export const progressSchema = z.strictObject({
  model: modelRefSchema,
  /** Of `total`, in work that is expected to take equally long. */
  done: z.number().nonnegative().max(WORK_MAX),
  total: z.number().nonnegative().max(WORK_MAX),
  /** What is being done, for people. */
  what: z.string().max(200),
  /** Null while nobody can tell. */
  secondsLeft: z.number().nonnegative().max(SECONDS_MAX).nullable(),
});
export type BenchmarkProgress = z.infer<typeof progressSchema>;
