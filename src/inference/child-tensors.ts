import { Tensor } from "onnxruntime-node";
import { AppError, printable, type Random } from "../core/index.js";
import type { TensorInfo } from "../protocol/index.js";

/** Tensors by name. A Map, because names are the model's own and may be `__proto__`. */
export type Tensors = Map<string, Tensor>;

export function infoOf(name: string, tensor: Tensor): TensorInfo {
  return { name, dtype: tensor.type, shape: [...tensor.dims], bytes: byteLengthOf(tensor) };
}

/** Bytes that would cross a link: strings as UTF-8, two 4-bit numbers to the byte. */
function byteLengthOf(tensor: Tensor): number {
  const { data } = tensor;
  if (ArrayBuffer.isView(data)) return data.byteLength;
  return data.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

export interface TensorSpec {
  name: string;
  dtype: string;
  shape: readonly number[];
  /** One number for every element; absent: floats seeded uniform in [0, 1), integers 1, bools true. */
  value: number | undefined;
  /** Seeded uniform between these: floats in [least, largest), integers with both ends, bools not at all. */
  range?: readonly [number, number] | undefined;
}

/** Larger synthetic inputs are refused: a bound axis is usually mistyped then. */
const INPUT_ELEMENTS_MAX = 2 ** 28;

/**
 * A synthetic input.
 * @throws AppError MODEL_UNSUPPORTED | MODEL_INPUT_INVALID, naming the input
 */
export function synthesise(spec: TensorSpec, random: Random): Tensor {
  checkRange(spec);
  const count = spec.shape.reduce((product, length) => product * length, 1);
  if (count > INPUT_ELEMENTS_MAX) {
    throw new AppError(
      "MODEL_INPUT_INVALID",
      `input ${printable(spec.name)} would have ${count} elements; at most ${INPUT_ELEMENTS_MAX} are made`,
    );
  }
  return new Tensor(spec.dtype as "float32", elementsOf(spec, count, random) as Float32Array, [
    ...spec.shape,
  ]);
}

type Elements =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | string[];

function elementsOf(spec: TensorSpec, count: number, random: Random): Elements {
  const { value } = spec;
  const real = value === undefined ? uniform(spec.range ?? [0, 1], random) : (): number => value;
  const whole = wholeNumbers(spec, random);
  switch (spec.dtype) {
    case "float32":
      return new Float32Array(count).map(real);
    case "float64":
      return new Float64Array(count).map(real);
    case "float16":
      return halves(count, real);
    case "int8":
      return new Int8Array(count).map(whole(-(2 ** 7), 2 ** 7 - 1));
    case "uint8":
      return new Uint8Array(count).map(whole(0, 2 ** 8 - 1));
    case "int16":
      return new Int16Array(count).map(whole(-(2 ** 15), 2 ** 15 - 1));
    case "uint16":
      return new Uint16Array(count).map(whole(0, 2 ** 16 - 1));
    case "int32":
      return new Int32Array(count).map(whole(-(2 ** 31), 2 ** 31 - 1));
    case "uint32":
      return new Uint32Array(count).map(whole(0, 2 ** 32 - 1));
    case "int64": {
      const { MIN_SAFE_INTEGER, MAX_SAFE_INTEGER } = Number;
      const next = whole(MIN_SAFE_INTEGER, MAX_SAFE_INTEGER);
      return new BigInt64Array(count).map(() => BigInt(next()));
    }
    case "uint64": {
      const next = whole(0, Number.MAX_SAFE_INTEGER);
      return new BigUint64Array(count).map(() => BigInt(next()));
    }
    case "bool":
      return new Uint8Array(count).fill(value === 0 ? 0 : 1);
    case "string":
      return new Array<string>(count).fill(String(value ?? 1));
    default:
      throw new AppError(
        "MODEL_UNSUPPORTED",
        `input ${printable(spec.name)} holds ${printable(spec.dtype)}, which cannot be made here`,
      );
  }
}

function halves(count: number, real: Random): Uint16Array {
  const encode = halfEncoder();
  return new Uint16Array(count).map(() => encode(real()));
}

function checkRange({ name, value, range }: TensorSpec): void {
  if (range === undefined) return;
  const [least, largest] = range;
  const why =
    value !== undefined ? "both a value and a range" : "a range whose least is above its largest";
  if (value === undefined && least <= largest) return;
  throw new AppError("MODEL_INPUT_INVALID", `input ${printable(name)} is given ${why}`);
}

function uniform([least, largest]: readonly [number, number], random: Random): Random {
  return () => least + random() * (largest - least);
}

/** Makes generators of whole numbers that a type from `min` to `max` can hold. */
function wholeNumbers(spec: TensorSpec, random: Random) {
  return (min: number, max: number): (() => number) => {
    const [least, largest] = spec.range ?? [spec.value ?? 1, spec.value ?? 1];
    for (const bound of [least, largest]) {
      if (Number.isInteger(bound) && bound >= min && bound <= max) continue;
      throw new AppError(
        "MODEL_INPUT_INVALID",
        `input ${printable(spec.name)} holds ${spec.dtype} and cannot be filled with ${bound}; give a whole number from ${min} to ${max}`,
      );
    }
    if (least === largest) return () => least;
    return () => least + Math.floor(random() * (largest - least + 1));
  };
}

/**
 * A function from a number to its IEEE 754 binary16 bits, rounded to nearest even by way of
 * binary32. It keeps its scratch memory: inputs can have millions of elements.
 */
export function halfEncoder(): (value: number) => number {
  const single = new Float32Array(1);
  const singleBits = new Uint32Array(single.buffer);
  return (value) => {
    single[0] = value;
    const bits = singleBits[0] ?? 0;
    const sign = (bits >>> 16) & 0x8000;
    const magnitude = Math.abs(single[0]);
    if (Number.isNaN(value)) return sign | 0x7e00;
    if (magnitude >= 65_520) return sign | 0x7c00;
    // Below the smallest normal number the step is 2⁻²⁴; above it, 2^(exponent − 10).
    const exponent = magnitude < 2 ** -14 ? -14 : ((bits >>> 23) & 0xff) - 127;
    const steps = roundHalfToEven(magnitude * 2 ** (10 - exponent));
    return sign | (((exponent + 14) << 10) + steps);
  };
}

/** The number that IEEE 754 binary16 bits stand for. */
export function fromHalf(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1_024 + fraction) * 2 ** (exponent - 25);
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
