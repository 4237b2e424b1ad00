import { z } from "zod";
import { inferenceOptionsSchema } from "../inference/options.js";

/** Benchmarks yield to whatever else the machine does, live inference above all. */
const NICENESS = 10;

/** A p95 does not see what happens to fewer than one request in twenty. */
const LIVE_SHARE_PERCENT = 2;

const percentSchema = z.number().min(0).max(100);

const noiseLimitsSchema = z.strictObject({
  cpuPressurePercentMax: percentSchema
    .default(10)
    .describe("Share of the time in which some task had to wait for a processor."),
  stealPercentMax: percentSchema
    .default(2)
    .describe("Share of the processors' time that a hypervisor gave to others."),
  loadPerCoreMax: z
    .number()
    .min(0)
    .max(1_000)
    .default(0.7)
    .describe("Load average of one minute for each core, before the benchmark begins."),
  frequencyChangePercentMax: percentSchema
    .default(10)
    .describe("Change of the processors' mean frequency, where the system tells it."),
});

const sentinelSchema = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .describe("Whether the schedule first looks, and measures the blocks only if need be."),
  okPercent: z
    .number()
    .min(0)
    .max(1_000)
    .default(5)
    .describe("A change of the times up to this leaves the profile as it is."),
  fullPercent: z
    .number()
    .min(0)
    .max(1_000)
    .default(25)
    .describe("Up to this it scales all blocks, beyond it they are measured anew."),
});

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
    .default(3)
    .describe("Fewest timed runs of each block; the median counts."),
  repeatsMax: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(20)
    .describe("Most timed runs of each block. What is still uncertain then is marked as unstable."),
  targetPercent: z
    .number()
    .min(0)
    .max(100)
    .default(3)
    .describe(
      "Runs are repeated until the median is known within this much, or, for small blocks, within what keeps the sum of all blocks known as well.",
    ),
  confidence: z
    .number()
    .min(0.5)
    .max(0.999)
    .default(0.75)
    .describe("Confidence of that; 0.75 needs three runs at least, 0.9 five, 0.95 six."),
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
  cpuSharePercent: z
    .number()
    .min(1)
    .max(100)
    .default(50)
    .describe(
      "Share of its time in which a benchmark of daemon or agent computes; it rests between its steps. Live work has the machine to itself meanwhile.",
    ),
  liveSharePercent: z
    .number()
    .min(1)
    .max(100)
    .default(LIVE_SHARE_PERCENT)
    .describe(
      "The same while runtimes report live work on the machine, whose p95 it then hardly changes. Such rests are bounded by a third of timeoutMs, and those of a partition that a plan waits for by a tenth of its time limit.",
    ),
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
  blocksMax: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(500)
    .describe(
      "Most blocks of one model; the cuts with the fewest bytes are kept. The same on every node, or their profiles share no blocks.",
    ),
  keptBytesMax: z
    .number()
    .int()
    .min(0)
    .max(1_099_511_627_776)
    .default(1_073_741_824)
    .describe(
      "Disk space in the state directory for what ONNX Runtime's optimiser made of benchmarked models, weights included, so that the next benchmark need not wait for it. What was unused the longest goes first; 0 keeps nothing and deletes what is there. Nothing is kept where less than four times as much is free.",
    ),
  sentinel: sentinelSchema
    .prefault({})
    .describe(
      "A short look at a few blocks, or at a small model as a whole, in place of a benchmark that may not be needed.",
    ),
  noise: noiseLimitsSchema
    .prefault({})
    .describe("When a profile is marked as measured on a busy machine."),
  inference: inferenceOptionsSchema
    .extend({
      niceness: inferenceOptionsSchema.shape.niceness
        .unwrap()
        .default(NICENESS)
        .describe(
          "Priority of the child process as nice(1) counts it: it yields to live work. 19 yields to everything else.",
        ),
    })
    .prefault({})
    .describe("The child process in which ONNX Runtime runs."),
});
export type BenchmarkOptions = z.infer<typeof benchmarkOptionsSchema>;
