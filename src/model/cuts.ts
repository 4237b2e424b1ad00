import type { CutOptions } from "./options.js";
import type { OnnxModel } from "./parse.js";

/** A place between two layers at which the model may be split. */
export interface CutPoint {
  index: number;
  afterLayer: number;
  /** What must be carried over it: inputs of the model first, then in the order of their layers. */
  tensors: readonly string[];
}

/** Consecutive layers between two cut points, the bounds included. */
export interface Block {
  index: number;
  firstLayer: number;
  lastLayer: number;
}

/**
 * Every legal cut point: at most `maxCutTensors` tensors cross it, all of them are tensors, and
 * they are not just the model's inputs or just its outputs. One sweep over the layers keeps what is
 * live: computed or given, not constant, and still needed by a layer that an output depends on or
 * as an output. Each contributing layer adds a tensor that was never live before, so no two cut
 * points have the same tensors; time grows with layers and edges.
 */
export function findCutPoints(model: OnnxModel, options: CutOptions): CutPoint[] {
  const lastUses = lastUsesOf(model);
  const modelInputs = new Set(model.inputs.map((input) => input.name));
  const modelOutputs = new Set(model.outputs.map((output) => output.name));
  const live = new Set([...modelInputs].filter((name) => lastUses.has(name)));
  const counts = {
    inputs: live.size,
    outputs: [...live].filter((name) => modelOutputs.has(name)).length,
    nonTensors: [...live].filter((name) => model.nonTensors.has(name)).length,
  };
  const count = (name: string, step: 1 | -1): void => {
    if (modelInputs.has(name)) counts.inputs += step;
    if (modelOutputs.has(name)) counts.outputs += step;
    if (model.nonTensors.has(name)) counts.nonTensors += step;
  };
  const cutPoints: CutPoint[] = [];
  for (const layer of model.layers) {
    if (!model.contributing.has(layer.index)) continue;
    for (const name of layer.inputs) {
      if (lastUses.get(name) === layer.index && live.delete(name)) count(name, -1);
    }
    for (const name of layer.outputs) {
      if (!lastUses.has(name)) continue;
      live.add(name);
      count(name, 1);
    }
    const isInside = counts.inputs < live.size && counts.outputs < live.size;
    if (isInside && live.size <= options.maxCutTensors && counts.nonTensors === 0) {
      cutPoints.push({ index: cutPoints.length, afterLayer: layer.index, tensors: [...live] });
    }
  }
  return cutPoints;
}

/** Whether a tensor's value is the same for all inputs of the shapes that the model is bound to. */
export function isConstant(model: OnnxModel, name: string): boolean {
  return model.constants.has(name) || model.shapeConstants.has(name);
}

/** The last contributing layer that reads each tensor; behind the last layer for the model's outputs. */
export function lastUsesOf(model: OnnxModel): Map<string, number> {
  const lastUses = new Map<string, number>();
  for (const layer of model.layers) {
    if (!model.contributing.has(layer.index)) continue;
    for (const name of layer.inputs) {
      if (!isConstant(model, name)) lastUses.set(name, layer.index);
    }
  }
  for (const { name } of model.outputs) {
    if (!isConstant(model, name)) lastUses.set(name, model.layers.length);
  }
  return lastUses;
}

/** The model's layers divided at the given cut points; none for a model without layers. */
export function blocksOf(model: OnnxModel, cutPoints: readonly CutPoint[]): Block[] {
  const end = model.layers.length - 1;
  if (end < 0) return [];
  const lastLayers = [...cutPoints.map((cut) => cut.afterLayer), end];
  return lastLayers.map((lastLayer, index) => {
    const previous = lastLayers[index - 1];
    return { index, firstLayer: previous === undefined ? 0 : previous + 1, lastLayer };
  });
}
