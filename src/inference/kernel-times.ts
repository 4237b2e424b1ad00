import { createHash } from "node:crypto";
import { z } from "zod";
import { parseJson } from "../protocol/index.js";

const KERNEL_SUFFIX = "_kernel_time";
const RUN_EVENT = "model_run";
const MICROSECONDS_PER_MS = 1_000;

/** What is read of the events that ONNX Runtime writes; durations are whole microseconds. */
const profileSchema = z.array(
  z.object({
    cat: z.string(),
    name: z.string(),
    dur: z.number().nonnegative().optional(),
  }),
);

/** One run of a session under ONNX Runtime's profiler. */
export interface ProfiledRun {
  runMs: number;
  /** In the order in which they were executed; those of loop bodies too, once for each turn. */
  kernels: readonly { name: string; timeMs: number }[];
}

export interface KernelTimes {
  /** Milliseconds of each kernel. */
  kernelMs: ReadonlyMap<string, number>;
  /** Share of a run that was spent in those kernels, in the least disturbed run; the rest went between them. */
  covered: number;
}

/** Reads a profile. @returns undefined when it is no such profile, or of no run */
export function readProfiledRuns(text: string): ProfiledRun[] | undefined {
  const parsed = parseJson(text, profileSchema);
  if (!parsed.ok) return undefined;
  const runs: ProfiledRun[] = [];
  let kernels: { name: string; timeMs: number }[] = [];
  for (const { cat, name, dur } of parsed.value) {
    const timeMs = (dur ?? 0) / MICROSECONDS_PER_MS;
    // It is written when the run is over, behind the kernels.
    if (name === RUN_EVENT) {
      runs.push({ runMs: timeMs, kernels });
      kernels = [];
    } else if (cat === "Node" && name.endsWith(KERNEL_SUFFIX)) {
      kernels.push({ name: name.slice(0, -KERNEL_SUFFIX.length), timeMs });
    }
  }
  return runs.length === 0 ? undefined : runs;
}

/**
 * What each kernel takes. A disturbance hits few kernels of a run, so that the fastest of few runs
 * is what each takes undisturbed; the first run is cold, and rarely the fastest.
 * @param names the kernels of the graph itself; those of loop bodies are within them
 * @returns undefined when a kernel is missing
 */
export function kernelTimesOf(
  runs: readonly ProfiledRun[],
  names: ReadonlySet<string>,
): KernelTimes | undefined {
  const kernelMs = new Map<string, number>();
  let covered = 0;
  for (const { runMs, kernels } of runs) {
    let kernelsMs = 0;
    for (const { name, timeMs } of kernels) {
      if (!names.has(name)) continue;
      kernelsMs += timeMs;
      kernelMs.set(name, Math.min(timeMs, kernelMs.get(name) ?? Number.POSITIVE_INFINITY));
    }
    if (runMs > 0) covered = Math.max(covered, kernelsMs / runMs);
  }
  return [...names].some((name) => !kernelMs.has(name)) ? undefined : { kernelMs, covered };
}

/**
 * Layout changes are made in another order each time: the first is `ReorderOutput`, and the others
 * are numbered, `ReorderOutput_token_845`.
 */
const NUMBER_OF_NEW_NODE = /_token_\d+$/;

/**
 * The names of all kernels as one number, in the order of execution, by which another process with
 * the same optimised graph is known. Undefined where the runs differ, or a kernel runs twice in one.
 */
export function digestOfKernels(runs: readonly ProfiledRun[]): string | undefined {
  const digests = new Set(
    runs.map(({ kernels }) => {
      const names = kernels.map(({ name }) => name);
      if (new Set(names).size < names.length) return undefined;
      const lasting = names.map((name) => name.replace(NUMBER_OF_NEW_NODE, ""));
      return createHash("sha256").update(JSON.stringify(lasting)).digest("hex");
    }),
  );
  const [digest] = digests;
  return digests.size === 1 ? digest : undefined;
}
