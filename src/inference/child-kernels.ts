import { errorMessage, printable } from "../core/index.js";
import type { OnnxModel } from "../model/index.js";
import type { Optimised } from "./child-optimised.js";
import { mapKernels } from "./kernel-map.js";
import { readKernelTimes } from "./kernel-times.js";
import type { KernelBlocks } from "./messages.js";

/** Kernels that account for less of a run do not tell how its time is spread. */
const COVERED_MIN = 0.5;

/**
 * What each block takes within the whole model, from the first cut to the last; or why kernels and
 * blocks cannot be brought together.
 * @param run the whole model's graph, and the profile of its runs
 * @param cuts tensors of each cut, in order
 */
export async function blocksOfKernels(
  run: { graph: OnnxModel; profile: string | undefined },
  optimised: Optimised,
  cuts: readonly (readonly string[])[],
): Promise<KernelBlocks> {
  if (run.profile === undefined) return { reason: "ONNX Runtime's profile is missing or too long" };
  let split: OnnxModel;
  try {
    split = await optimised.split(cuts.flat());
  } catch (error) {
    return { reason: printable(errorMessage(error)) };
  }
  const blockOf = mapKernels(run.graph, split, cuts);
  if (blockOf === undefined) {
    return { reason: "the kernels of the whole model cannot be told apart by its cut points" };
  }
  const times = readKernelTimes(run.profile, new Set(blockOf.keys()));
  if (times === undefined) return { reason: "ONNX Runtime's profile lacks kernels of the model" };
  if (times.covered < COVERED_MIN) {
    const percent = Math.round(100 * times.covered);
    return { reason: `only ${percent} % of the model's time is spent in its kernels` };
  }
  const blockMs = new Array<number>(cuts.length + 1).fill(0);
  for (const [name, timeMs] of times.kernelMs) {
    const block = blockOf.get(name) ?? 0;
    blockMs[block] = (blockMs[block] ?? 0) + timeMs;
  }
  return { blockMs };
}
