import { AppError, printable } from "../core/index.js";

/** An array as NumPy stores it, little-endian and in C order. */
export interface NpyArray {
  /** In ONNX Runtime's words: float32, int64, bool … */
  dtype: string;
  shape: number[];
  data: Uint8Array;
}

const MAGIC = "\x93NUMPY";
/** NumPy's own limit is 10,000 characters. */
const HEADER_BYTES_MAX = 65_535;
const DTYPES = new Map([
  ["f2", { dtype: "float16", bytes: 2 }],
  ["f4", { dtype: "float32", bytes: 4 }],
  ["f8", { dtype: "float64", bytes: 8 }],
  ["i1", { dtype: "int8", bytes: 1 }],
  ["u1", { dtype: "uint8", bytes: 1 }],
  ["i2", { dtype: "int16", bytes: 2 }],
  ["u2", { dtype: "uint16", bytes: 2 }],
  ["i4", { dtype: "int32", bytes: 4 }],
  ["u4", { dtype: "uint32", bytes: 4 }],
  ["i8", { dtype: "int64", bytes: 8 }],
  ["u8", { dtype: "uint64", bytes: 8 }],
  ["b1", { dtype: "bool", bytes: 1 }],
]);

/**
 * The content of a .npy file, format versions 1 to 3 (NumPy's NEP 1).
 * @param what the file, for messages
 * @throws AppError MODEL_INPUT_INVALID
 */
export function parseNpy(bytes: Uint8Array, what: string): NpyArray {
  const { header, data } = splitHeader(bytes, what);
  const descriptor = /'descr':\s*'([<>|=])(\w+)'/.exec(header);
  const order = /'fortran_order':\s*(True|False)/.exec(header)?.[1];
  const lengths = /'shape':\s*\(([\d\s,]*)\)/.exec(header)?.[1];
  if (descriptor === null || order === undefined || lengths === undefined) {
    throw invalid(what, `has a header that is not understood: ${printable(header.trim())}`);
  }
  const [, byteOrder, code = ""] = descriptor;
  const element = DTYPES.get(code);
  if (element === undefined) throw invalid(what, `holds ${code}, which no tensor can hold`);
  if (byteOrder === ">") throw invalid(what, "is big-endian; save it as little-endian");
  const shape = lengths
    .split(",")
    .filter((length) => length.trim() !== "")
    .map(Number);
  if (!shape.every(Number.isSafeInteger)) throw invalid(what, "has an axis of no possible length");
  if (order === "True" && shape.length > 1) {
    throw invalid(what, "is in Fortran order; save numpy.ascontiguousarray of it");
  }
  const wanted = shape.reduce((product, length) => product * length, element.bytes);
  if (data.byteLength !== wanted) {
    throw invalid(what, `has ${data.byteLength} bytes of data; its shape wants ${wanted}`);
  }
  return { dtype: element.dtype, shape, data };
}

/** Bytes of one element of an ONNX type; undefined for text and packed types. */
export function elementBytes(dtype: string): number | undefined {
  return [...DTYPES.values()].find((element) => element.dtype === dtype)?.bytes;
}

function splitHeader(bytes: Uint8Array, what: string): { header: string; data: Uint8Array } {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < 12 || view.toString("latin1", 0, MAGIC.length) !== MAGIC) {
    throw invalid(what, "is no NumPy array");
  }
  const isVersion1 = view[6] === 1;
  const start = isVersion1 ? 10 : 12;
  const end = start + (isVersion1 ? view.readUInt16LE(8) : view.readUInt32LE(8));
  if (end > view.byteLength) throw invalid(what, "ends within its header");
  if (end - start > HEADER_BYTES_MAX) {
    throw invalid(what, `has a header of ${end - start} bytes; ${HEADER_BYTES_MAX} are the limit`);
  }
  return { header: view.toString("utf8", start, end), data: bytes.subarray(end) };
}

function invalid(what: string, why: string): AppError {
  return new AppError("MODEL_INPUT_INVALID", `${printable(what)} ${why}`);
}
