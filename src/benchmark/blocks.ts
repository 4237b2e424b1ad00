import type { LayerRange } from "../inference/index.js";
import type { CutPointInfo, TensorInfo } from "../protocol/index.js";

export interface Block extends LayerRange {
  index: number;
  /** What crosses the cut behind the block; behind the last, the model's outputs. */
  cutTensors: readonly TensorInfo[];
}

/**
 * The blocks between the cut points that are worth a cut, in order, covering every layer.
 * A model without a cut point is one block; one without layers is the empty block 0 to 0.
 */
export function chooseBlocks(
  opened: { layers: number; cutPoints: readonly CutPointInfo[]; outputs: readonly TensorInfo[] },
  options: { cutInsideFusions: boolean },
): Block[] {
  const cuts = opened.cutPoints.filter((cut) => options.cutInsideFusions || !cut.fused);
  const ends = [
    ...cuts.map((cut) => ({ lastLayer: cut.afterLayer, cutTensors: cut.tensors })),
    { lastLayer: Math.max(opened.layers - 1, 0), cutTensors: opened.outputs },
  ];
  return ends.map((end, index) => ({
    index,
    firstLayer: index === 0 ? 0 : (ends[index - 1]?.lastLayer ?? 0) + 1,
    lastLayer: end.lastLayer,
    cutTensors: end.cutTensors,
  }));
}

export function bytesOf(tensors: readonly TensorInfo[]): number {
  return tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
}
