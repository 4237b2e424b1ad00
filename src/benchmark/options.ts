import { z } from "zod";
import { inferenceOptionsSchema } from "../inference/options.js";

export const benchmarkOptionsSchema = z.strictObject({
  warmups: z
    .number()
    .int()
    .min(0)
    .max(1_000)
    .default(1)
    .describe("Untimed runs before each block is timed."),
  repeats: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(10)
    .describe("Timed runs of each block; the median counts."),
  blockBudgetMs: z
    .number()
    .int()
    .min(1)
    .max(3_600_000)
    .default(5_000)
    .describe("No further repeat of a block starts after this time; one always runs."),
  timeoutMs: z
    .number()
    .int()
    .min(1)
    .max(86_400_000)
    .default(1_800_000)
    .describe("Bounds the benchmark of one model as a whole."),
  maxCutTensors: z
    .number()
    .int()
    .min(1)
    .max(64)
    .default(1)
    .describe("Most tensors that may cross one cut. More than 1 finds cuts inside branches."),
  cutInsideFusions: z
    .boolean()
    .default(false)
    .describe(
      "Also cut where ONNX Runtime fuses layers. Such a cut is legal but only costs time, as a rule.",
    ),
  inference: inferenceOptionsSchema
    .prefault({})
    .describe("The child process in which ONNX Runtime runs."),
});
export type BenchmarkOptions = z.infer<typeof benchmarkOptionsSchema>;
