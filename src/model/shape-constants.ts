import { findContributing } from "./contributing.js";
import type { OnnxModel } from "./parse.js";
import type { TensorValue } from "./value-info.js";

/**
 * Of the given tensors those that would have to be known if all of them were constants: what
 * contributing layers read and what the model gives out. The others are steps on the way to these.
 */
export function neededConstants(model: OnnxModel, candidates: ReadonlySet<string>): string[] {
  const contributing = findContributing(model, (name) => candidates.has(name));
  const read = model.layers.filter((layer) => contributing.has(layer.index));
  const names = [
    ...read.flatMap((layer) => layer.inputs),
    ...model.outputs.map(({ name }) => name),
  ];
  return [...new Set(names)].filter((name) => candidates.has(name));
}

/**
 * The model for one choice of input shapes: the given tensors, all of them among
 * `model.shapeDependents`, never cross a cut, and sub-models that cannot compute them hold their
 * values. The given model stays as it is.
 */
export function withShapeConstants(
  model: OnnxModel,
  values: ReadonlyMap<string, TensorValue>,
): OnnxModel {
  const contributing = findContributing(model, (name) => values.has(name));
  return { ...model, shapeConstants: values, contributing };
}
