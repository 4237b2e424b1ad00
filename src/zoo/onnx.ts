import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  TensorProtoSchema,
  type ValueInfoProtoSchema,
} from "../model/index.js";
import { encodeAttribute } from "./attribute.js";
import { type Constant, elementsOf, type Graph, type GraphNode, type Parameter } from "./graph.js";
import { type Expansion, expandParameters } from "./light.js";
import { createNoise, littleEndian, parameterChunks } from "./noise.js";

const IR_VERSION = 8n;
const OPSET_VERSION = 17n;
/** TensorProto.DataType. */
const DATA_TYPE = { float32: 1, int64: 7 } as const;
export interface EncodeOptions {
  readonly seed: number;
  /** Weights as constants that the runtime expands when it loads the model: kilobytes. */
  readonly light: boolean;
}

/** An ONNX file that is made while it is read: VGG16 is never whole in memory. */
export interface EncodedModel {
  readonly byteLength: number;
  chunks(): Generator<Uint8Array>;
}

/**
 * The graph as an ONNX model. Protobuf joins repeated fields wherever they stand, so the model
 * without its weights is one message, and each weight follows as a field of its own.
 */
export function encodeModel(graph: Graph, options: EncodeOptions): EncodedModel {
  const noise = createNoise(options.seed, { light: options.light });
  const expansion = options.light ? expandParameters(graph, noise) : undefined;
  const described = toBinary(GraphProtoSchema, describe(graph, expansion));
  const stored = [...graph.parameters.entries()]
    .filter(([, parameter]) => expansion?.expands(parameter) !== true)
    .map(([index, parameter]) => ({ index, parameter, header: weightHeader(parameter) }));
  const storedBytes = stored.reduce(
    (sum, { header, parameter }) => sum + header.byteLength + 4 * elementsOf(parameter.shape),
    0,
  );
  const versions = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    opsetImport: [{ domain: "", version: OPSET_VERSION }],
  });
  const start = Buffer.concat([
    toBinary(ModelProtoSchema, versions),
    fieldPrefix(ModelProtoSchema.field.graph.number, described.byteLength + storedBytes),
    described,
  ]);
  return {
    byteLength: start.byteLength + storedBytes,
    *chunks() {
      yield start;
      for (const { index, parameter, header } of stored) {
        yield header;
        yield* parameterChunks(noise, parameter, index);
      }
    },
  };
}

/** Everything but the values of the weights. */
function describe(graph: Graph, expansion: Expansion | undefined) {
  return create(GraphProtoSchema, {
    name: graph.name,
    input: [valueInfo(graph.input.name, graph.input.shape)],
    output: [valueInfo(graph.output.name, graph.output.shape)],
    valueInfo: graph.nodes
      .filter((node) => node.name !== graph.output.name)
      .map((node) => valueInfo(node.name, node.outputShape)),
    node: graph.nodes
      .flatMap((node) => [...(expansion?.nodesBefore(node) ?? []), node])
      .map(encodeNode),
    initializer: [...graph.constants, ...(expansion?.constants ?? [])].map(encodeConstant),
  });
}

function encodeNode(node: GraphNode): MessageInitShape<typeof NodeProtoSchema> {
  return {
    name: node.name,
    opType: node.opType,
    input: [...node.inputs],
    output: [node.name],
    attribute: node.attributes.map(encodeAttribute),
  };
}

function encodeConstant(constant: Constant): MessageInitShape<typeof TensorProtoSchema> {
  const { name, shape, type, values } = constant;
  return {
    name,
    dims: shape.map(BigInt),
    dataType: DATA_TYPE[type],
    rawData: littleEndian(values, type),
  };
}

function valueInfo(
  name: string,
  shape: readonly number[],
): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = shape.map((axis) => ({
    value: { case: "dimValue" as const, value: BigInt(axis) },
  }));
  const elemType = DATA_TYPE.float32;
  return { name, type: { value: { case: "tensorType", value: { elemType, shape: { dim } } } } };
}

/** All of a weight's field in the graph up to its values. */
function weightHeader({ name, shape }: Parameter): Uint8Array {
  const described = { name, dims: shape.map(BigInt), dataType: DATA_TYPE.float32 };
  const tensor = toBinary(TensorProtoSchema, create(TensorProtoSchema, described));
  const rawBytes = 4 * elementsOf(shape);
  const rawPrefix = fieldPrefix(TensorProtoSchema.field.rawData.number, rawBytes);
  const length = tensor.byteLength + rawPrefix.byteLength + rawBytes;
  const prefix = fieldPrefix(GraphProtoSchema.field.initializer.number, length);
  return Buffer.concat([prefix, tensor, rawPrefix]);
}

function fieldPrefix(field: number, byteLength: number): Uint8Array {
  return new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(byteLength).finish();
}
