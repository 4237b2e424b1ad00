import { extname } from "node:path";
import { Tensor } from "onnxruntime-node";
import { AppError, printable } from "../core/index.js";
import type { ValueInfo } from "../model/index.js";
import { readModelFile } from "./child-files.js";
import type { InputFile } from "./messages.js";
import { elementBytes, type NpyArray, parseNpy } from "./npy.js";
import { readNpzMember } from "./npz.js";

/** Of one file of inputs, packed or not. */
const INPUT_BYTES_MAX = 2 ** 30;

/**
 * The tensor that a user gives for an input: a .npy file; a .npz file, of which the array with the
 * input's name; or any other file as raw little-endian elements in the shape that is bound or declared.
 * @throws AppError MODEL_INPUT_INVALID | MODEL_INPUT_UNBOUND | MODEL_UNREADABLE | MODEL_TOO_LARGE
 */
export function readInput(
  file: InputFile,
  input: ValueInfo & { dtype: string },
  boundShape: readonly number[] | undefined,
): Tensor {
  const array = readArray(file, input, boundShape);
  if (array.dtype !== input.dtype) {
    throw invalid(file, `holds ${array.dtype}, but the input is ${input.dtype}`);
  }
  checkShape(file, array.shape, boundShape ?? input.shape ?? array.shape);
  return new Tensor(array.dtype as "float32", elementsOf(array) as Float32Array, array.shape);
}

function readArray(
  file: InputFile,
  input: ValueInfo & { dtype: string },
  boundShape: readonly number[] | undefined,
): NpyArray {
  const bytes = readModelFile(file.path, INPUT_BYTES_MAX);
  switch (extname(file.path).toLowerCase()) {
    case ".npy":
      return parseNpy(bytes, file.path);
    case ".npz": {
      const limits = { what: file.path, bytesMax: INPUT_BYTES_MAX };
      const member = readNpzMember(bytes, file.name, limits);
      if (member === undefined) throw invalid(file, "has no array of that name");
      return parseNpy(member, `${file.path}: ${file.name}`);
    }
    default:
      return rawArray(file, bytes, { dtype: input.dtype, shape: boundShape ?? input.shape });
  }
}

function rawArray(
  file: InputFile,
  data: Uint8Array,
  declared: { dtype: string; shape: ValueInfo["shape"] },
): NpyArray {
  const { dtype, shape } = declared;
  const fixed = shape?.filter((length) => typeof length === "number");
  if (shape == null || fixed?.length !== shape.length) {
    throw new AppError(
      "MODEL_INPUT_UNBOUND",
      `${printable(file.path)} is raw data, and input ${printable(file.name)} has axes of unknown length; bind its shape, too, as in --input '${printable(file.name)}=1x3x224x224'`,
    );
  }
  const bytesEach = elementBytes(dtype);
  if (bytesEach === undefined) throw invalid(file, `cannot give ${dtype} as raw data`);
  const wanted = fixed.reduce((product, length) => product * length, bytesEach);
  if (data.byteLength !== wanted) {
    throw invalid(
      file,
      `has ${data.byteLength} bytes; ${dtype} ${fixed.join("x")} takes ${wanted}`,
    );
  }
  return { dtype, shape: [...fixed], data };
}

function checkShape(
  file: InputFile,
  shape: readonly number[],
  wanted: readonly (number | string | null)[],
): void {
  const fits =
    shape.length === wanted.length &&
    shape.every((length, axis) => typeof wanted[axis] !== "number" || wanted[axis] === length);
  if (fits) return;
  const expected = wanted.map((length) => length ?? "?").join("x");
  throw invalid(file, `has shape ${shape.join("x")}; the input takes ${printable(expected)}`);
}

function elementsOf({ dtype, data }: NpyArray): unknown {
  // A copy, because views need an offset that is a multiple of the element's size; a Buffer's own
  // slice() would copy nothing.
  const { buffer } = new Uint8Array(data);
  switch (dtype) {
    case "float16":
      return new Uint16Array(buffer);
    case "float32":
      return new Float32Array(buffer);
    case "float64":
      return new Float64Array(buffer);
    case "int8":
      return new Int8Array(buffer);
    case "int16":
      return new Int16Array(buffer);
    case "uint16":
      return new Uint16Array(buffer);
    case "int32":
      return new Int32Array(buffer);
    case "uint32":
      return new Uint32Array(buffer);
    case "int64":
      return new BigInt64Array(buffer);
    case "uint64":
      return new BigUint64Array(buffer);
    default:
      return new Uint8Array(buffer);
  }
}

function invalid(file: InputFile, why: string): AppError {
  return new AppError(
    "MODEL_INPUT_INVALID",
    `${printable(file.path)}, given for input ${printable(file.name)}, ${why}`,
  );
}
