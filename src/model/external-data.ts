import { create, toBinary } from "@bufbuild/protobuf";
import { AppError } from "../core/index.js";
import { externalError, isExternal, readExternalLocation } from "./external-location.js";
import { analyseModel, type OnnxModel } from "./parse.js";
import {
  type AttributeProto,
  AttributeProtoSchema,
  FunctionProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type SparseTensorProto,
  SparseTensorProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from "./proto/onnx_pb.js";
import { modelLimitsSchema } from "./options.js";
import { dtypeName, tensorBytes } from "./value-info.js";

/** Gives `length` bytes at `offset` of a file beside the model, or all from there on. */
export type ReadExternal = (
  location: string,
  offset: number,
  length: number | undefined,
) => Uint8Array;

/**
 * The model with the weights of its external files inside; the given model stays as it is.
 * @throws AppError MODEL_UNREADABLE naming the tensor whose location, size or data is wrong |
 * MODEL_TOO_LARGE when all weights together pass what protobuf can hold | what `read` throws
 */
export function inlineExternalData(model: OnnxModel, read: ReadExternal): OnnxModel {
  if (model.externalFiles.length === 0) return model;
  const inline = inliner(read, modelLimitsSchema.parse({}).bytesMax);
  const functions = model.proto.functions.map((body) =>
    create(FunctionProtoSchema, { ...body, node: body.node.map((node) => mapNode(node, inline)) }),
  );
  const graph = mapGraph(model.graph, inline);
  const proto = create(ModelProtoSchema, { ...model.proto, graph, functions });
  return analyseModel(proto, toBinary(ModelProtoSchema, proto));
}

type MapTensor = (tensor: TensorProto) => TensorProto;

function inliner(read: ReadExternal, bytesMax: number): MapTensor {
  let bytesSoFar = 0;
  return (tensor) => {
    if (!isExternal(tensor)) return tensor;
    const { location, offset, length } = readExternalLocation(tensor);
    const expected = expectedBytes(tensor);
    if (length !== undefined && length !== expected) {
      throw externalError(tensor, `its shape needs ${expected} bytes, but ${length} are given`);
    }
    bytesSoFar += expected;
    if (bytesSoFar > bytesMax) {
      throw new AppError(
        "MODEL_TOO_LARGE",
        `the model is too large: its external weights pass ${bytesMax} bytes`,
      );
    }
    const data = expected === 0 ? new Uint8Array() : read(location, offset, expected);
    if (data.byteLength !== expected) {
      throw externalError(
        tensor,
        `${expected} bytes at ${offset} were expected in its external file, ${data.byteLength} are there`,
      );
    }
    return create(TensorProtoSchema, {
      ...tensor,
      dataLocation: undefined,
      externalData: [],
      rawData: data,
    });
  };
}

function expectedBytes(tensor: TensorProto): number {
  const elements = tensor.dims.reduce((product, dimension) => {
    if (dimension < 0n)
      throw externalError(tensor, `it has a dimension of ${dimension.toString()}`);
    return product * Number(dimension);
  }, 1);
  const bytes = tensorBytes(dtypeName(tensor.dataType), elements);
  if (bytes === undefined || !Number.isSafeInteger(bytes)) {
    throw externalError(tensor, "its type and shape give no size that external data can have");
  }
  return bytes;
}

function mapGraph(graph: GraphProto, map: MapTensor): GraphProto {
  return create(GraphProtoSchema, {
    ...graph,
    initializer: graph.initializer.map(map),
    sparseInitializer: graph.sparseInitializer.map((sparse) => mapSparse(sparse, map)),
    node: graph.node.map((node) => mapNode(node, map)),
  });
}

function mapNode(node: NodeProto, map: MapTensor): NodeProto {
  if (node.attribute.length === 0) return node;
  const attribute = node.attribute.map((value) => mapAttribute(value, map));
  return create(NodeProtoSchema, { ...node, attribute });
}

function mapAttribute(attribute: AttributeProto, map: MapTensor): AttributeProto {
  const { t, g, sparseTensor } = attribute;
  return create(AttributeProtoSchema, {
    ...attribute,
    ...(t === undefined ? {} : { t: map(t) }),
    ...(g === undefined ? {} : { g: mapGraph(g, map) }),
    ...(sparseTensor === undefined ? {} : { sparseTensor: mapSparse(sparseTensor, map) }),
    tensors: attribute.tensors.map(map),
    graphs: attribute.graphs.map((graph) => mapGraph(graph, map)),
    sparseTensors: attribute.sparseTensors.map((sparse) => mapSparse(sparse, map)),
  });
}

function mapSparse(sparse: SparseTensorProto, map: MapTensor): SparseTensorProto {
  const { values, indices } = sparse;
  return create(SparseTensorProtoSchema, {
    ...sparse,
    ...(values === undefined ? {} : { values: map(values) }),
    ...(indices === undefined ? {} : { indices: map(indices) }),
  });
}
