import { create, type MessageInitShape, toBinary, type UnknownField } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  TensorProtoSchema,
  type ValueInfoProtoSchema,
} from "../model/index.js";
import {
  type AttributeValue,
  type Constant,
  type Graph,
  type GraphNode,
  elementsOf,
} from "./graph.js";
import { type Expansion, expandParameters } from "./light.js";
import { createNoise, littleEndian, parameterChunks } from "./noise.js";

const IR_VERSION = 8n;
const OPSET_VERSION = 17n;
/** TensorProto.DataType. */
const DATA_TYPE = { float32: 1, int64: 7 } as const;
/** Field numbers of AttributeProto, and its AttributeType. */
const ATTRIBUTE = {
  number: { float: 2, integer: 3, string: 4, integers: 8, type: 20 },
  type: { float: 1, integer: 2, string: 3, integers: 7 },
} as const;

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
  const expansion: Expansion | undefined = options.light
    ? expandParameters(graph, noise)
    : undefined;
  const described = toBinary(GraphProtoSchema, describe(graph, expansion));
  const weights = graph.parameters
    .map((parameter, index) => ({ parameter, index }))
    .filter(({ parameter }) => expansion === undefined || !expansion.expands(parameter))
    .map(({ parameter, index }) => ({ parameter, index, ...frameTensor(parameter) }));
  const graphBytes = weights.reduce(
    (sum, { header, parameter }) => sum + header.byteLength + 4 * elementsOf(parameter.shape),
    described.byteLength,
  );
  const header = concatenate([
    toBinary(
      ModelProtoSchema,
      create(ModelProtoSchema, {
        irVersion: IR_VERSION,
        opsetImport: [{ domain: "", version: OPSET_VERSION }],
      }),
    ),
    fieldPrefix(ModelProtoSchema.field.graph.number, graphBytes),
    described,
  ]);
  return {
    byteLength: header.byteLength - described.byteLength + graphBytes,
    *chunks() {
      yield header;
      for (const { parameter, index, header: tensorHeader } of weights) {
        yield tensorHeader;
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

/** The schema of model/ leaves scalar attributes to pass through unread; here they are written. */
function encodeAttribute([name, value]: readonly [string, AttributeValue]): MessageInitShape<
  typeof AttributeProtoSchema
> {
  const attribute = create(AttributeProtoSchema, { name });
  attribute.$unknown = attributeFields(value);
  return attribute;
}

function attributeFields(value: AttributeValue): UnknownField[] {
  const field = (no: number, wireType: WireType, data: BinaryWriter): UnknownField => ({
    no,
    wireType,
    data: data.finish(),
  });
  const { number: numbers, type } = ATTRIBUTE;
  const typed = (code: number): UnknownField =>
    field(numbers.type, WireType.Varint, new BinaryWriter().int32(code));
  if (typeof value === "string") {
    const text = field(numbers.string, WireType.LengthDelimited, new BinaryWriter().string(value));
    return [text, typed(type.string)];
  }
  if (typeof value !== "number") {
    const items = value.map((item) =>
      field(numbers.integers, WireType.Varint, new BinaryWriter().int64(item)),
    );
    return [...items, typed(type.integers)];
  }
  return Number.isInteger(value)
    ? [
        field(numbers.integer, WireType.Varint, new BinaryWriter().int64(value)),
        typed(type.integer),
      ]
    : [field(numbers.float, WireType.Bit32, new BinaryWriter().float(value)), typed(type.float)];
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
function frameTensor({ name, shape }: { name: string; shape: readonly number[] }): {
  header: Uint8Array;
} {
  const tensor = toBinary(
    TensorProtoSchema,
    create(TensorProtoSchema, {
      name,
      dims: shape.map(BigInt),
      dataType: DATA_TYPE.float32,
    }),
  );
  const rawBytes = 4 * elementsOf(shape);
  const rawPrefix = fieldPrefix(TensorProtoSchema.field.rawData.number, rawBytes);
  const length = tensor.byteLength + rawPrefix.byteLength + rawBytes;
  const prefix = fieldPrefix(GraphProtoSchema.field.initializer.number, length);
  return { header: concatenate([prefix, tensor, rawPrefix]) };
}

function fieldPrefix(field: number, byteLength: number): Uint8Array {
  return new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(byteLength).finish();
}

export function concatenate(parts: Iterable<Uint8Array>, byteLength?: number): Uint8Array {
  const list = byteLength === undefined ? [...parts] : parts;
  const total =
    byteLength ?? (list as Uint8Array[]).reduce((sum, part) => sum + part.byteLength, 0);
  const bytes = new Uint8Array(total);
  let offset = 0;
  for (const part of list) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return bytes;
}
