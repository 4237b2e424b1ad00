import { z } from "zod";

/** How the child process that holds a model is bounded and how ONNX Runtime is set up in it. */
export const inferenceOptionsSchema = z.strictObject({
  threads: z
    .number()
    .int()
    .min(1)
    .max(1_024)
    .default(1)
    .describe("Threads of one inference (intra-op). Recorded with every profile."),
  executionProviders: z
    .array(z.string().regex(/^[a-z]{1,32}$/))
    .min(1)
    .max(8)
    .default(["cpu"])
    .describe("ONNX Runtime's execution providers, the preferred one first."),
  niceness: z
    .number()
    .int()
    .min(0)
    .max(19)
    .default(0)
    .describe("Priority of the child process as nice(1) counts it; 19 yields to everything else."),
  startTimeoutMs: z
    .number()
    .int()
    .min(100)
    .max(600_000)
    .default(20_000)
    .describe("How long the child process may take to load ONNX Runtime."),
  requestTimeoutMs: z
    .number()
    .int()
    .min(1)
    .max(86_400_000)
    .default(300_000)
    .describe("How long one step (open, measure a block, compare) may take before it is killed."),
  memoryLimitMiB: z
    .number()
    .int()
    .min(64)
    .max(1_048_576)
    .default(4_096)
    .describe("Resident memory at which the child process is killed."),
  memoryPollMs: z
    .number()
    .int()
    .min(10)
    .max(10_000)
    .default(50)
    .describe("How often the resident memory of the child process is read."),
  modelBytesMax: z
    .number()
    .int()
    .min(1)
    .max(1_099_511_627_776)
    .default(2_147_483_647)
    .describe(
      "Largest model, external data included. The file itself ends at 2 GiB, as Protocol Buffers do; with external data a model can be larger, and `memoryLimitMiB` may have to grow with it.",
    ),
  inputSeed: z
    .number()
    .int()
    .min(0)
    .max(4_294_967_295)
    .default(7)
    .describe("Seed of the synthetic inputs; floats are uniform in [0, 1)."),
  relativeTolerance: z
    .number()
    .min(0)
    .max(1)
    .default(1e-4)
    .describe(
      "Largest difference between the chained blocks and the whole model, relative to the largest magnitude in the tensor. Fusion across a cut changes the last bits.",
    ),
  environment: z
    .record(z.string(), z.string())
    .default({})
    .describe(
      "Environment variables of the child process, which inherits none: LD_LIBRARY_PATH for a GPU provider, for example.",
    ),
});
export type InferenceOptions = z.infer<typeof inferenceOptionsSchema>;

/** Whether one thread of the processor does all the computing. */
export function isOneThread(
  options: Pick<InferenceOptions, "threads" | "executionProviders">,
): boolean {
  return options.threads === 1 && options.executionProviders.every((one) => one === "cpu");
}
