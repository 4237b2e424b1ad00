import { errorMessage, printable } from "../core/index.js";
import type { GraphOutline } from "../model/index.js";
import type { Optimised } from "./child-optimised.js";
import { mapKernels } from "./kernel-map.js";
import {
  digestOfKernels,
  kernelTimesOf,
  type ProfiledRun,
  readProfiledRuns,
} from "./kernel-times.js";
import type { KernelBlocks, KernelOrder } from "./messages.js";

/** Kernels that account for less of a run do not tell how its time is spread. */
const COVERED_MIN = 0.5;

/**
 * What each block takes within the whole model, from the first cut to the last; or why kernels and
 * blocks cannot be brought together.
 * @param run the whole model's graph, and the profile of its runs
 * @param cuts tensors of each cut, in order
 * @returns `blockOf` where the kernels have an order by which they are known again
 */
export async function blocksOfKernels(
  run: { graph: GraphOutline; profile: string | undefined },
  optimised: Optimised,
  cuts: readonly (readonly string[])[],
): Promise<KernelBlocks & { blockOf?: ReadonlyMap<string, number> }> {
  if (run.profile === undefined) return { reason: "ONNX Runtime's profile is missing or too long" };
  let split: GraphOutline;
  try {
    split = await optimised.split(cuts.flat());
  } catch (error) {
    return { reason: printable(errorMessage(error)) };
  }
  const blockOf = mapKernels(run.graph, split, cuts);
  if (blockOf === undefined) {
    return { reason: "the kernels of the whole model cannot be told apart by its cut points" };
  }
  const runs = readProfiledRuns(run.profile);
  const times = runs === undefined ? undefined : timesOfBlocks(runs, blockOf, cuts.length + 1);
  if (runs === undefined || times === undefined) {
    return { reason: "ONNX Runtime's profile lacks kernels of the model" };
  }
  if (times.covered < COVERED_MIN) {
    const percent = Math.round(100 * times.covered);
    return { reason: `only ${percent} % of the model's time is spent in its kernels` };
  }
  const order = orderOf(runs, blockOf);
  return { blockMs: times.blockMs, ...(order === undefined ? {} : { order, blockOf }) };
}

/**
 * The same for a session that executes the same kernels in the same order as one that was understood
 * before; undefined where it does not.
 */
export function blocksInOrder(
  profile: string | undefined,
  order: KernelOrder,
  blocks: number,
): { blockMs: number[]; blockOf: ReadonlyMap<string, number> } | undefined {
  const runs = profile === undefined ? undefined : readProfiledRuns(profile);
  const kernels = runs?.[0]?.kernels;
  if (runs === undefined || kernels === undefined) return undefined;
  if (digestOfKernels(runs) !== order.sha256) return undefined;
  const blockOf = new Map<string, number>();
  for (const [block, count] of order.blocks) {
    for (let left = count; left > 0; left--) {
      const kernel = kernels[blockOf.size];
      if (kernel === undefined || block >= blocks) return undefined;
      blockOf.set(kernel.name, block);
    }
  }
  const blockMs = coveredTimes(runs, blockOf, blocks);
  return blockMs && { blockMs, blockOf };
}

/** The same for a session whose kernels are known by their names; undefined where they are others. */
export function blocksNamed(
  profile: string | undefined,
  blockOf: ReadonlyMap<string, number>,
  blocks: number,
): number[] | undefined {
  const runs = profile === undefined ? undefined : readProfiledRuns(profile);
  if (runs === undefined) return undefined;
  if (runs.some(({ kernels }) => kernels.length !== blockOf.size)) return undefined;
  if ([...blockOf.values()].some((block) => block >= blocks)) return undefined;
  return coveredTimes(runs, blockOf, blocks);
}

/** Milliseconds of each block; undefined where kernels are too small a part of the model's time. */
function coveredTimes(
  runs: readonly ProfiledRun[],
  blockOf: ReadonlyMap<string, number>,
  blocks: number,
): number[] | undefined {
  const times = timesOfBlocks(runs, blockOf, blocks);
  return times === undefined || times.covered < COVERED_MIN ? undefined : times.blockMs;
}

function timesOfBlocks(
  runs: readonly ProfiledRun[],
  blockOf: ReadonlyMap<string, number>,
  blocks: number,
): { blockMs: number[]; covered: number } | undefined {
  const times = kernelTimesOf(runs, new Set(blockOf.keys()));
  if (times === undefined) return undefined;
  const blockMs = new Array<number>(blocks).fill(0);
  for (const [name, timeMs] of times.kernelMs) {
    const block = blockOf.get(name) ?? 0;
    blockMs[block] = (blockMs[block] ?? 0) + timeMs;
  }
  return { blockMs, covered: times.covered };
}

/** Undefined for graphs with loops and branches, whose kernels are not the same in every run. */
function orderOf(
  runs: readonly ProfiledRun[],
  blockOf: ReadonlyMap<string, number>,
): KernelOrder | undefined {
  const sha256 = digestOfKernels(runs);
  const kernels = runs[0]?.kernels ?? [];
  if (sha256 === undefined || kernels.length !== blockOf.size) return undefined;
  const blocks: [number, number][] = [];
  for (const { name } of kernels) {
    const block = blockOf.get(name);
    if (block === undefined) return undefined;
    const last = blocks.at(-1);
    if (last?.[0] === block) last[1] += 1;
    else blocks.push([block, 1]);
  }
  return { sha256, blocks };
}
