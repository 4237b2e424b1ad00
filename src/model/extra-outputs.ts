import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { OnnxModel } from "./parse.js";
import { ModelProtoSchema } from "./proto/onnx_pb.js";
import { spliceModel } from "./splice.js";

/**
 * The whole model with further tensors as outputs, so that running it tells their types, shapes
 * and values. Their types are left for the runtime to find; what is an output already stays as it is.
 */
export function withExtraOutputs(model: OnnxModel, tensorNames: readonly string[]): Uint8Array {
  return spliceModel(model.bytes, { outputs: furtherOutputs(model, tensorNames) });
}

/**
 * The same, with every layer named by its number, so that what a runtime tells of a layer by its
 * name can be understood, whether or not the file names its nodes, or two of them alike.
 */
export function withNamedLayers(model: OnnxModel, tensorNames: readonly string[]): Uint8Array {
  const layerOf = new Map(model.nodes.map((node, layer) => [node, layer]));
  return spliceModel(model.bytes, {
    outputs: furtherOutputs(model, tensorNames),
    nodeNames: model.graph.node.map((node) => `layer-${layerOf.get(node) ?? ""}`),
  });
}

/**
 * A model without the inputs that are neither in `fed` nor have an initializer. A runtime's optimiser folds
 * initializers that older files also list as inputs, and leaves these, which then would have to be fed.
 * @param bytes of a model that was written here
 */
export function withInputsOf(bytes: Uint8Array, fed: ReadonlySet<string>): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  const { graph } = model;
  if (graph === undefined) return bytes;
  const initializers = new Set(graph.initializer.map(({ name }) => name));
  graph.input = graph.input.filter(({ name = "" }) => fed.has(name) || initializers.has(name));
  return toBinary(ModelProtoSchema, model);
}

function furtherOutputs(model: OnnxModel, tensorNames: readonly string[]): string[] {
  const present = new Set(model.outputs.map((output) => output.name));
  return [...new Set(tensorNames)].filter((name) => !present.has(name));
}
