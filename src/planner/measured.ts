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
  if (measured === undefined || measured.length === 0) return [];
  const starts = new Map(blocks.map((block, index) => [block.firstLayer, index]));
  const ends = new Map(blocks.map((block, index) => [block.lastLayer, index]));
  return measured.flatMap(({ firstLayer, lastLayer, ms }) => {
    const firstBlock = starts.get(firstLayer);
    const lastBlock = ends.get(lastLayer);
    return firstBlock === undefined || lastBlock === undefined
      ? []
      : [{ firstBlock, lastBlock, ms }];
  });
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
