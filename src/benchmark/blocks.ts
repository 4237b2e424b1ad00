import type { LayerRange } from "../inference/index.js";
import type { CutPointInfo, TensorInfo } from "../protocol/index.js";

export interface Block extends LayerRange {
  index: number;
  /** What crosses the cut behind the block; behind the last, the model's outputs. */
  cutTensors: readonly TensorInfo[];
}

/**
 * The blocks between the cut points that are worth a cut, in order, covering every layer; of more
 * than `blocksMax`, those between the cuts with the fewest bytes, the earlier of equals.
 * A model without a cut point is one block; one without layers is the empty block 0 to 0.
 * @returns also how many cuts that leaves out
 */
export function chooseBlocks(
  opened: { layers: number; cutPoints: readonly CutPointInfo[]; outputs: readonly TensorInfo[] },
  options: { cutInsideFusions: boolean; blocksMax: number },
): { blocks: Block[]; cutsLeftOut: number } {
  const worthwhile = opened.cutPoints.filter((cut) => options.cutInsideFusions || !cut.fused);
  const cuts = cheapestCuts(worthwhile, options.blocksMax - 1);
  const ends = [
    ...cuts.map((cut) => ({ lastLayer: cut.afterLayer, cutTensors: cut.tensors })),
    { lastLayer: Math.max(opened.layers - 1, 0), cutTensors: opened.outputs },
  ];
  const blocks = ends.map((end, index) => ({
    index,
    firstLayer: index === 0 ? 0 : (ends[index - 1]?.lastLayer ?? 0) + 1,
    lastLayer: end.lastLayer,
    cutTensors: end.cutTensors,
  }));
  return { blocks, cutsLeftOut: worthwhile.length - cuts.length };
}

function cheapestCuts(cuts: readonly CutPointInfo[], count: number): readonly CutPointInfo[] {
  if (cuts.length <= count) return cuts;
  return [...cuts]
    .sort((a, b) => bytesOf(a.tensors) - bytesOf(b.tensors) || a.afterLayer - b.afterLayer)
    .slice(0, count)
    .sort((a, b) => a.afterLayer - b.afterLayer);
}

export function bytesOf(tensors: readonly TensorInfo[]): number {
  return tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
}
