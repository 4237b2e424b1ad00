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

export interface KernelTimes {
  /** Milliseconds of each kernel. */
  kernelMs: ReadonlyMap<string, number>;
  /** Share of a run that was spent in those kernels, in the least disturbed run; the rest went between them. */
  covered: number;
}

/**
 * Reads the profile of several runs of one session. A disturbance hits few kernels of a run, so
 * that the fastest of few runs is what each takes undisturbed; the first run is cold.
 * @param names the kernels of the graph itself; those of loop bodies are within them
 * @returns undefined when it is no such profile, or lacks a kernel
 */
export function readKernelTimes(text: string, names: ReadonlySet<string>): KernelTimes | undefined {
  const parsed = parseJson(text, profileSchema);
  if (!parsed.ok) return undefined;
  const durations = new Map<string, number[]>();
  let covered = 0;
  let kernelsMs = 0;
  for (const { cat, name: event, dur } of parsed.value) {
    const durationMs = (dur ?? 0) / MICROSECONDS_PER_MS;
    // It is written when the run is over, behind the kernels.
    if (event === RUN_EVENT) {
      if (durationMs > 0) covered = Math.max(covered, kernelsMs / durationMs);
      kernelsMs = 0;
    }
    if (cat !== "Node" || !event.endsWith(KERNEL_SUFFIX)) continue;
    const name = event.slice(0, -KERNEL_SUFFIX.length);
    if (!names.has(name)) continue;
    kernelsMs += durationMs;
    const before = durations.get(name);
    if (before === undefined) durations.set(name, [durationMs]);
    else before.push(durationMs);
  }
  if ([...names].some((name) => !durations.has(name))) return undefined;
  return {
    kernelMs: new Map([...durations].map(([name, inOrderMs]) => [name, fastestMs(inOrderMs)])),
    covered,
  };
}

function fastestMs(inOrderMs: readonly number[]): number {
  return Math.min(...(inOrderMs.length > 1 ? inOrderMs.slice(1) : inOrderMs));
}
