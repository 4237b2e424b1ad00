import { seededRandom } from "../core/index.js";
import { elementsOf, type Parameter } from "./graph.js";

/**
 * Lengths of the block of noise that all weights of a model repeat. Primes, so that the rows of a
 * weight matrix start at different places of the block and no two channels are alike; the shorter
 * one is beyond every channel count of the zoo, because its repeats would else add up in phase.
 */
const FULL_BLOCK = 1_048_583;
const LIGHT_BLOCK = 16_411;
/** Spreads the starts of consecutive parameters over the block (Knuth's multiplicative hash). */
const START_STEP = 2_654_435_761;
/** The sum of n uniform values in [0, 1) has variance n/12. */
const UNIFORMS = 4;
const CHUNK_ELEMENTS = 1 << 20;

/** Where the weights of one model come from: parameter `index` reads the block, round and round. */
export interface Noise {
  readonly block: Float32Array;
  startOf(index: number): number;
}

/**
 * One block of noise with mean 0 and variance 1. Drawing each of VGG16's 138 million weights would
 * take seconds; repeating a block at shifting places looks the same to the runtime. The values are
 * sums of four uniforms: near normal, and never beyond ±3.5, so a variance of 1 ± 0.1 stays positive.
 */
export function createNoise(seed: number, { light }: { light: boolean }): Noise {
  const random = seededRandom(seed);
  const block = new Float32Array(light ? LIGHT_BLOCK : FULL_BLOCK);
  for (let index = 0; index < block.length; index += 1) {
    let sum = 0;
    for (let term = 0; term < UNIFORMS; term += 1) sum += random();
    block[index] = (sum - UNIFORMS / 2) / Math.sqrt(UNIFORMS / 12);
  }
  return { block, startOf: (index) => ((index + 1) * START_STEP) % block.length };
}

/** The float32 values of a parameter, little-endian, in chunks of at most 4 MiB. */
export function* parameterChunks(
  noise: Noise,
  parameter: Parameter,
  index: number,
): Generator<Uint8Array> {
  const { mean, deviation, shape } = parameter;
  const { block } = noise;
  const total = elementsOf(shape);
  let position = noise.startOf(index);
  for (let done = 0; done < total; done += CHUNK_ELEMENTS) {
    const elements = Math.min(CHUNK_ELEMENTS, total - done);
    const values = new DataView(new ArrayBuffer(4 * elements));
    for (let element = 0; element < elements; element += 1) {
      values.setFloat32(4 * element, mean + deviation * (block[position] ?? 0), true);
      position = position + 1 === block.length ? 0 : position + 1;
    }
    yield new Uint8Array(values.buffer);
  }
}

/** ONNX stores raw data little-endian, whatever the machine. */
export function littleEndian(values: Iterable<number>, type: "float32" | "int64"): Uint8Array {
  const list = [...values];
  const size = type === "float32" ? 4 : 8;
  const view = new DataView(new ArrayBuffer(list.length * size));
  for (const [index, value] of list.entries()) {
    if (type === "float32") view.setFloat32(index * size, value, true);
    else view.setBigInt64(index * size, BigInt(value), true);
  }
  return new Uint8Array(view.buffer);
}
