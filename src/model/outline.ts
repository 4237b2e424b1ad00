import { fromBinary } from "@bufbuild/protobuf";
import { invalid, type Layer, orderLayers } from "./layers.js";
import { ModelProtoSchema } from "./proto/onnx_pb.js";
import { initializerNames } from "./scope.js";
import { withoutValueInfo } from "./splice.js";

/** What reads what in a graph; of an `OnnxModel` a small part. */
export interface GraphOutline {
  readonly layers: readonly Layer[];
  /** What must be fed: initializers that are also listed as inputs are not among them. */
  readonly inputs: readonly { readonly name: string }[];
}

/**
 * The outline of a graph that a runtime wrote. It is neither guarded against hostile bytes nor are its
 * constants and shapes looked into: that takes longer than to read all else of it.
 * @throws AppError MODEL_UNREADABLE where its nodes are no graph
 */
export function outlineOf(bytes: Uint8Array): GraphOutline {
  const unknown = { readUnknownFields: false };
  const { graph } = fromBinary(ModelProtoSchema, withoutValueInfo(bytes), unknown);
  if (graph === undefined) throw invalid("it has no graph");
  const given = new Set(initializerNames(graph));
  const inputs = graph.input
    .map(({ name = "" }) => ({ name }))
    .filter(({ name }) => !given.has(name));
  for (const { name } of inputs) given.add(name);
  return { layers: orderLayers(graph.node, given).layers, inputs };
}
