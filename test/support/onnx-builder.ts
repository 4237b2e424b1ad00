import { create, type MessageInitShape, toBinary, type UnknownField } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  type AttributeProto,
  AttributeProtoSchema,
  type FunctionProto,
  FunctionProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "../../src/model/proto/onnx_pb.js";

/** ONNX numbers of element types. */
const ELEMENT_TYPES = { float32: 1, int64: 7, bool: 9 } as const;
type ElementType = keyof typeof ELEMENT_TYPES;
type Dimension = number | string;

/** Numbers of the fields that the product's schema leaves to pass through. */
const ATTRIBUTE_FLOAT = 2;
const ATTRIBUTE_INTEGER = 3;
const ATTRIBUTE_INTEGERS = 8;
const ATTRIBUTE_TYPE = 20;
const ATTRIBUTE_TYPES = { float: 1, integer: 2, tensor: 4, graph: 5, integers: 7 } as const;

export interface GraphParts {
  nodes: readonly NodeProto[];
  inputs?: readonly ValueInfoProto[];
  outputs: readonly ValueInfoProto[];
  initializers?: readonly TensorProto[];
  valueInfo?: readonly ValueInfoProto[];
  name?: string;
}

export interface ModelParts extends GraphParts {
  opset?: number;
  irVersion?: number;
  functions?: readonly FunctionProto[];
  /** Operator sets beside ONNX's own; version 1 of each. */
  domains?: readonly string[];
}

/** A message to be encoded by `encode`, or changed by hand before. */
export function onnxModel(parts: ModelParts): ModelProto {
  return create(ModelProtoSchema, {
    irVersion: BigInt(parts.irVersion ?? 8),
    opsetImport: [
      { domain: "", version: BigInt(parts.opset ?? 17) },
      ...(parts.domains ?? []).map((domain) => ({ domain, version: 1n })),
    ],
    graph: onnxGraph(parts),
    functions: [...(parts.functions ?? [])],
  });
}

export function encode(model: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, model);
}

/** The bytes of a small model. */
export function buildModel(parts: ModelParts): Uint8Array {
  return encode(onnxModel(parts));
}

export function onnxGraph(parts: GraphParts): GraphProto {
  return create(GraphProtoSchema, {
    name: parts.name ?? "graph",
    node: [...parts.nodes],
    input: [...(parts.inputs ?? [])],
    output: [...parts.outputs],
    initializer: [...(parts.initializers ?? [])],
    valueInfo: [...(parts.valueInfo ?? [])],
  });
}

// A node reads like the formula it stands for; what is rare comes in a fourth place.
// eslint-disable-next-line max-params
export function node(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  more: { name?: string; domain?: string; attributes?: readonly AttributeProto[] } = {},
): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    input: [...inputs],
    output: [...outputs],
    ...(more.name === undefined ? {} : { name: more.name }),
    ...(more.domain === undefined ? {} : { domain: more.domain }),
    attribute: [...(more.attributes ?? [])],
  });
}

/** A tensor's description; an axis is a length or the name of a symbolic one. */
export function value(
  name: string,
  shape: readonly Dimension[] = [1],
  dtype: ElementType = "float32",
): ValueInfoProto {
  const dim = shape.map((length) =>
    typeof length === "number"
      ? { value: { case: "dimValue" as const, value: BigInt(length) } }
      : { value: { case: "dimParam" as const, value: length } },
  );
  const elemType = ELEMENT_TYPES[dtype];
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: "tensorType", value: { elemType, shape: { dim } } } },
  });
}

/** A sequence of float tensors. */
export function sequence(name: string): ValueInfoProto {
  const elemType = { value: { case: "tensorType" as const, value: { elemType: 1 } } };
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: "sequenceType", value: { elemType } } },
  });
}

export function floats(
  name: string,
  values: readonly number[],
  shape: readonly number[] = [values.length],
): TensorProto {
  return rawTensor(name, "float32", { shape, data: new Float32Array(values) });
}

export function integers(
  name: string,
  values: readonly number[],
  shape: readonly number[] = [values.length],
): TensorProto {
  return rawTensor(name, "int64", { shape, data: new BigInt64Array(values.map(BigInt)) });
}

function rawTensor(
  name: string,
  dtype: ElementType,
  content: { shape: readonly number[]; data: Float32Array | BigInt64Array },
): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dataType: ELEMENT_TYPES[dtype],
    dims: content.shape.map(BigInt),
    rawData: new Uint8Array(content.data.buffer),
  });
}

/** A float tensor whose data lies in a file. */
export function externalFloats(
  name: string,
  shape: readonly number[],
  entries: Readonly<Record<string, string>>,
): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dataType: ELEMENT_TYPES.float32,
    dims: shape.map(BigInt),
    dataLocation: 1,
    externalData: Object.entries(entries).map(([key, text]) => ({ key, value: text })),
  });
}

export function graphAttribute(name: string, graph: GraphProto): AttributeProto {
  return attribute({ name, g: graph }, [attributeType("graph")]);
}

export function tensorAttribute(name: string, tensor: TensorProto): AttributeProto {
  return attribute({ name, t: tensor }, [attributeType("tensor")]);
}

export function integerAttribute(name: string, integer: number): AttributeProto {
  const data = new BinaryWriter().int64(integer).finish();
  const field = { no: ATTRIBUTE_INTEGER, wireType: WireType.Varint, data };
  return attribute({ name }, [field, attributeType("integer")]);
}

export function integersAttribute(name: string, list: readonly number[]): AttributeProto {
  const fields = list.map((integer) => ({
    no: ATTRIBUTE_INTEGERS,
    wireType: WireType.Varint,
    data: new BinaryWriter().int64(integer).finish(),
  }));
  return attribute({ name }, [...fields, attributeType("integers")]);
}

export function floatAttribute(name: string, float: number): AttributeProto {
  const data = new BinaryWriter().float(float).finish();
  const field = { no: ATTRIBUTE_FLOAT, wireType: WireType.Bit32, data };
  return attribute({ name }, [field, attributeType("float")]);
}

/** `create` takes no unknown fields from what is no message yet, so they are set after it. */
function attribute(
  fields: MessageInitShape<typeof AttributeProtoSchema>,
  unknown: UnknownField[],
): AttributeProto {
  return Object.assign(create(AttributeProtoSchema, fields), { $unknown: unknown });
}

function attributeType(kind: keyof typeof ATTRIBUTE_TYPES): UnknownField {
  const data = new BinaryWriter().int32(ATTRIBUTE_TYPES[kind]).finish();
  return { no: ATTRIBUTE_TYPE, wireType: WireType.Varint, data };
}

/** A `Constant` node with float values. */
export function constantFloats(output: string, values: readonly number[]): NodeProto {
  const tensor = floats("", values);
  return node("Constant", [], [output], { attributes: [tensorAttribute("value", tensor)] });
}

/** A function of the model's own, in the domain `local`. */
export function localFunction(
  name: string,
  body: { inputs: readonly string[]; outputs: readonly string[]; nodes: readonly NodeProto[] },
): FunctionProto {
  // Field 9 is opset_import; ONNX Runtime wants one in each function.
  const opset = new BinaryWriter().tag(2, WireType.Varint).int64(17).finish();
  const data = new BinaryWriter().bytes(opset).finish();
  const built = create(FunctionProtoSchema, {
    name,
    domain: LOCAL_DOMAIN,
    input: [...body.inputs],
    output: [...body.outputs],
    node: [...body.nodes],
  });
  return Object.assign(built, {
    $unknown: [{ no: 9, wireType: WireType.LengthDelimited, data }],
  });
}

export const LOCAL_DOMAIN = "local";
