import type { PlanningNode, PlanningProblem } from "./problem.js";

/** A measured range in blocks of the problem; `lastBlock` is inclusive. */
export interface MeasuredBlocks {
  firstBlock: number;
  lastBlock: number;
  ms: number;
}

/** The node's measured ranges that are whole blocks of the problem; others can be no partition of a plan. */
export function measuredBlocks(
  { blocks }: Pick<PlanningProblem, "blocks">,
  { measured }: Pick<PlanningNode, "measured">,
): MeasuredBlocks[] {
  const found: MeasuredBlocks[] = [];
  for (const { firstLayer, lastLayer, ms } of measured ?? []) {
    const firstBlock = blockOf(blocks, firstLayer);
    const lastBlock = blockOf(blocks, lastLayer);
    if (blocks[firstBlock]?.firstLayer !== firstLayer) continue;
    if (blocks[lastBlock]?.lastLayer !== lastLayer) continue;
    found.push({ firstBlock, lastBlock, ms });
  }
  return found;
}

/** The first block that does not end before the layer: that which contains it, if any does. */
function blockOf(blocks: PlanningProblem["blocks"], layer: number): number {
  let [low, high] = [0, blocks.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((blocks[middle]?.lastLayer ?? Infinity) < layer) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What the blocks' own times say that a range takes. */
export function sumOfBlocks(
  { blockMs }: Pick<PlanningNode, "blockMs">,
  { firstBlock, lastBlock }: Pick<MeasuredBlocks, "firstBlock" | "lastBlock">,
): number {
  let sumMs = 0;
  for (let block = firstBlock; block <= lastBlock; block += 1) sumMs += blockMs[block] ?? 0;
  return sumMs;
}

/** Measurements that are further from the blocks than this say that something else is wrong. */
const ESTIMATE_FACTOR_MAX = 8;

/**
 * By how much the node's partitions take longer than their blocks sum to, as far as they were
 * measured: their times together by their blocks' together, so that long ones count most. What is
 * not measured yet is best expected to be off likewise; otherwise each plan in turn looks better than
 * those that were measured, until it is measured itself. The whole model says nothing of it, since
 * blocks are made to sum to it. Between 1/8 and 8; 1 where nothing is known.
 */
export function learnedFactor(
  problem: Pick<PlanningProblem, "blocks">,
  node: Pick<PlanningNode, "blockMs" | "measured">,
): number {
  let measuredMs = 0;
  let blocksMs = 0;
  for (const range of measuredBlocks(problem, node)) {
    if (range.firstBlock === 0 && range.lastBlock === problem.blocks.length - 1) continue;
    measuredMs += range.ms;
    blocksMs += sumOfBlocks(node, range);
  }
  if (measuredMs <= 0 || blocksMs <= 0) return 1;
  return Math.min(Math.max(measuredMs / blocksMs, 1 / ESTIMATE_FACTOR_MAX), ESTIMATE_FACTOR_MAX);
}
