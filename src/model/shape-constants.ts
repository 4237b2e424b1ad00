import { functionKey, repeatability } from "./constants.js";
import { findContributing } from "./contributing.js";
import type { OnnxModel } from "./parse.js";
import { readsShapesOnly, shapeArgumentsOf } from "./shape-rules.js";
import type { TensorValue } from "./value-info.js";

/**
 * Tensors whose values the shapes of the model's inputs determine: what `Shape` and `Size` read
 * off a tensor whose own shape is determined, and what repeatable operators compute from such
 * values and constants alone. With the inputs' shapes bound they are as good as constants, but
 * their values are known only from a run.
 *
 * A tensor's shape is determined where its operator's is a function of the shapes of what it reads
 * and, for Reshape and the like, of values that are determined themselves. Everything else is taken
 * not to be: NonZero, control flow, sequences, local functions and operators we do not know.
 */
export function findShapeDependents(model: OnnxModel): Set<string> {
  const isRepeatable = repeatability(model.proto.functions);
  const ownFunctions = new Set(
    model.proto.functions.map((body) => functionKey(body.domain, body.name)),
  );
  const fixedValues = new Set(model.constants);
  const fixedShapes = new Set(model.constants);
  for (const { name, dtype } of model.inputs) if (dtype !== null) fixedShapes.add(name);
  const dependents = new Set<string>();
  for (const layer of model.layers) {
    const node = model.nodes[layer.index];
    if (node === undefined || layer.outputs.every((name) => model.constants.has(name))) continue;
    const isOwn = ownFunctions.has(functionKey(node.domain, node.opType));
    const needed = isOwn || !readsShapesOnly(node) ? fixedValues : fixedShapes;
    if (isRepeatable(node) && layer.inputs.every((name) => needed.has(name))) {
      for (const name of layer.outputs) {
        dependents.add(name);
        fixedValues.add(name);
        fixedShapes.add(name);
      }
      continue;
    }
    const shapeArguments = isOwn ? undefined : shapeArgumentsOf(node);
    const isShapeFixed =
      shapeArguments?.every((name) => fixedValues.has(name)) === true &&
      layer.inputs.every((name) => fixedShapes.has(name));
    if (isShapeFixed) for (const name of layer.outputs) fixedShapes.add(name);
  }
  return dependents;
}

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
 * The model for one choice of input shapes: the given tensors never cross a cut, and sub-models
 * that cannot compute them hold their values. The given model stays as it is.
 */
export function withShapeConstants(
  model: OnnxModel,
  values: ReadonlyMap<string, TensorValue>,
): OnnxModel {
  const contributing = findContributing(model, (name) => values.has(name));
  return { ...model, shapeConstants: values, contributing };
}
