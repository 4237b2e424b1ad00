import { create } from "@bufbuild/protobuf";
import { AppError } from "../core/index.js";
import {
  type DimensionProto,
  type TensorProto,
  TensorProtoSchema,
  type TypeProto,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./proto/onnx_pb.js";

/** A named value of a graph, as far as the file says. */
export interface ValueInfo {
  name: string;
  /** In onnxruntime-node's words (`float32`, `int64`, `bool`, …); null if not a tensor or not said. */
  dtype: string | null;
  /** A number, the name of a symbolic axis, or null for each axis; null if even the rank is unknown. */
  shape: readonly (number | string | null)[] | null;
}

/** A tensor with what it holds. */
export interface TensorValue {
  dtype: string;
  shape: readonly number[];
  /** The elements packed, the low byte of each first, as in an ONNX file. */
  data: Uint8Array;
}

/** Element types by their ONNX number. */
const DTYPES: readonly (string | null)[] = [
  null,
  "float32",
  "uint8",
  "int8",
  "uint16",
  "int16",
  "int32",
  "int64",
  "string",
  "bool",
  "float16",
  "float64",
  "uint32",
  "uint64",
  "complex64",
  "complex128",
  "bfloat16",
  "float8e4m3fn",
  "float8e4m3fnuz",
  "float8e5m2",
  "float8e5m2fnuz",
  "uint4",
  "int4",
  "float4e2m1",
  "float8e8m0",
  "uint2",
  "int2",
];

const BITS_PER_ELEMENT: ReadonlyMap<string, number> = new Map([
  ...(["float64", "int64", "uint64", "complex64"] as const).map((dtype) => [dtype, 64] as const),
  ...(["float32", "int32", "uint32"] as const).map((dtype) => [dtype, 32] as const),
  ...(["float16", "bfloat16", "int16", "uint16"] as const).map((dtype) => [dtype, 16] as const),
  ...(["int8", "uint8", "bool", "float8e4m3fn", "float8e4m3fnuz"] as const).map(
    (dtype) => [dtype, 8] as const,
  ),
  ...(["float8e5m2", "float8e5m2fnuz", "float8e8m0"] as const).map((dtype) => [dtype, 8] as const),
  ...(["uint4", "int4", "float4e2m1"] as const).map((dtype) => [dtype, 4] as const),
  ...(["uint2", "int2"] as const).map((dtype) => [dtype, 2] as const),
  ["complex128", 128],
]);

export function dtypeName(elementType: number | undefined): string | null {
  return DTYPES[elementType ?? 0] ?? null;
}

/** Bytes of a packed tensor; undefined for text and unknown types, whose size the shape does not tell. */
export function tensorBytes(dtype: string | null, elements: number): number | undefined {
  const bits = dtype === null ? undefined : BITS_PER_ELEMENT.get(dtype);
  return bits === undefined ? undefined : Math.ceil((elements * bits) / 8);
}

export function readValueInfo(value: ValueInfoProto): ValueInfo {
  const name = value.name ?? "";
  const type = value.type?.value;
  if (type?.case !== "tensorType") return { name, dtype: null, shape: null };
  return {
    name,
    dtype: dtypeName(type.value.elemType),
    shape: type.value.shape?.dim.map(readDimension) ?? null,
  };
}

function readDimension(dimension: DimensionProto): number | string | null {
  switch (dimension.value.case) {
    case "dimValue": {
      const length = Number(dimension.value.value);
      // Some exporters write -1 or the largest integer for "unknown".
      return Number.isSafeInteger(length) && length >= 0 ? length : null;
    }
    case "dimParam":
      return dimension.value.value === "" ? null : dimension.value.value;
    case undefined:
      return null;
  }
}

/** True for sequences, maps, optionals and the like, which cannot be fed, fetched or sent. */
export function isOtherThanTensor(type: TypeProto | undefined): boolean {
  return type?.value.case !== undefined && type.value.case !== "tensorType";
}

/**
 * A value description with a tensor type, or without any where the dtype is unknown to ONNX. A
 * shape of null leaves even the rank open.
 */
export function writeValueInfo(info: {
  name: string;
  dtype: string;
  shape: readonly number[] | null;
}): ValueInfoProto {
  const elemType = DTYPES.indexOf(info.dtype);
  if (elemType < 1) return create(ValueInfoProtoSchema, { name: info.name });
  const dim = info.shape?.map((length) => ({
    value: { case: "dimValue" as const, value: BigInt(length) },
  }));
  return create(ValueInfoProtoSchema, {
    name: info.name,
    type: {
      value: {
        case: "tensorType",
        value: { elemType, ...(dim === undefined ? {} : { shape: { dim } }) },
      },
    },
  });
}

/** The tensor as an initializer. @throws AppError INTERNAL when its data does not suit its type */
export function writeTensor(name: string, value: TensorValue): TensorProto {
  const elements = value.shape.reduce((product, length) => product * length, 1);
  const bytes = tensorBytes(value.dtype, elements);
  if (bytes !== value.data.byteLength) {
    throw new AppError(
      "INTERNAL",
      `${elements} elements of ${value.dtype} cannot be ${value.data.byteLength} bytes`,
    );
  }
  return create(TensorProtoSchema, {
    name,
    dataType: DTYPES.indexOf(value.dtype),
    dims: value.shape.map(BigInt),
    rawData: value.data,
  });
}
