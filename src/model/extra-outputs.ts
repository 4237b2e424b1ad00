import { create, toBinary } from "@bufbuild/protobuf";
import type { OnnxModel } from "./parse.js";
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  ValueInfoProtoSchema,
} from "./proto/onnx_pb.js";

/**
 * The whole model with further tensors as outputs, so that running it tells their types, shapes
 * and values. Their types are left for the runtime to find; what is an output already stays as it is.
 */
export function withExtraOutputs(model: OnnxModel, tensorNames: readonly string[]): Uint8Array {
  const present = new Set(model.outputs.map((output) => output.name));
  const further = [...new Set(tensorNames)].filter((name) => !present.has(name));
  const output = [
    ...model.graph.output,
    ...further.map((name) => create(ValueInfoProtoSchema, { name })),
  ];
  const graph = create(GraphProtoSchema, { ...model.graph, output });
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { ...model.proto, graph }));
}

/**
 * The same, with every layer named by its number, so that what a runtime tells of a layer by its
 * name can be understood, whether or not the file names its nodes, or two of them alike.
 */
export function withNamedLayers(model: OnnxModel, tensorNames: readonly string[]): Uint8Array {
  const node = model.nodes.map((one, layer) =>
    create(NodeProtoSchema, { ...one, name: `layer-${layer}` }),
  );
  const graph = create(GraphProtoSchema, { ...model.graph, node });
  return withExtraOutputs({ ...model, graph }, tensorNames);
}
