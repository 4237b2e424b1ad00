import { functionKey, repeatability } from "./constants.js";
import type { Layer } from "./layers.js";
import type { FunctionProto, NodeProto } from "./proto/onnx_pb.js";
import { readsShapesOnly, shapeArgumentsOf } from "./shape-rules.js";
import type { ValueInfo } from "./value-info.js";

/** What the shapes of a model's inputs determine of its tensors. */
export interface ShapeFacts {
  /** Tensors whose values are determined, constants apart. */
  values: Set<string>;
  /** Tensors whose shapes are determined. */
  shapes: Set<string>;
}

/**
 * Finds tensors whose values the shapes of the inputs determine: what `Shape` and `Size` read off a
 * tensor whose own shape is determined, and what repeatable operators compute from such values and
 * constants alone.
 *
 * A tensor's shape is determined where its operator's is a function of the shapes of what it reads
 * and, for Reshape and the like, of values that are determined themselves. Everything else is taken
 * not to be: NonZero, control flow, sequences, local functions and operators we do not know.
 */
export function findShapeFacts(
  graph: {
    layers: readonly Layer[];
    nodes: readonly NodeProto[];
    inputs: readonly ValueInfo[];
    constants: ReadonlySet<string>;
  },
  functions: readonly FunctionProto[],
): ShapeFacts {
  const { constants } = graph;
  const isRepeatable = repeatability(functions);
  const ownFunctions = new Set(functions.map((body) => functionKey(body.domain, body.name)));
  const values = new Set<string>();
  const shapes = new Set<string>();
  const isFixed = (name: string): boolean => constants.has(name) || values.has(name);
  const hasFixedShape = (name: string): boolean => constants.has(name) || shapes.has(name);
  for (const { name, dtype } of graph.inputs) if (dtype !== null) shapes.add(name);
  for (const layer of graph.layers) {
    const node = graph.nodes[layer.index];
    if (node === undefined || layer.outputs.every((name) => constants.has(name))) continue;
    const isOwn = ownFunctions.has(functionKey(node.domain, node.opType));
    const suffices = !isOwn && readsShapesOnly(node) ? hasFixedShape : isFixed;
    const isValueFixed = isRepeatable(node) && layer.inputs.every(suffices);
    const shapeArguments = isOwn ? undefined : shapeArgumentsOf(node);
    const isShapeFixed =
      shapeArguments?.every(isFixed) === true && layer.inputs.every(hasFixedShape);
    for (const name of layer.outputs) {
      if (isValueFixed) values.add(name);
      if (isValueFixed || isShapeFixed) shapes.add(name);
    }
  }
  return { values, shapes };
}
