import { InferenceSession, Tensor } from "onnxruntime-node";
import { seededRandom } from "../../src/core/index.js";
import {
  type Block,
  extractSubModel,
  neededConstants,
  type OnnxModel,
  type TensorValue,
  withExtraOutputs,
  withShapeConstants,
} from "../../src/model/index.js";
import type { TensorInfo } from "../../src/protocol/index.js";

export type Tensors = Map<string, Tensor>;

const SESSION_OPTIONS: InferenceSession.SessionOptions = {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  logSeverityLevel: 4,
};

/** Runs a model in this process, which only tests may do, and gives all its outputs. */
export async function runOnnx(
  bytes: Uint8Array,
  feeds: Tensors,
  options: { optimised: boolean },
): Promise<Tensors> {
  const level = options.optimised ? "all" : "disabled";
  const session = await InferenceSession.create(bytes, {
    ...SESSION_OPTIONS,
    graphOptimizationLevel: level,
  });
  try {
    const fed = session.inputNames.flatMap((name) => {
      const tensor = feeds.get(name);
      return tensor === undefined ? [] : [[name, tensor] as const];
    });
    const results = await session.run(Object.fromEntries(fed));
    return new Map(Object.entries(results));
  } finally {
    await session.release();
  }
}

/** The model for the shapes of `feeds`, with its shape constants as one run gives them. */
export async function bindByRunning(model: OnnxModel, feeds: Tensors): Promise<OnnxModel> {
  const names = neededConstants(model, model.shapeDependents);
  const results = await runOnnx(withExtraOutputs(model, names), feeds, { optimised: false });
  return withShapeConstants(
    model,
    new Map(names.map((name) => [name, valueOf(lookUp(results, name))])),
  );
}

export function valueOf({ type, dims, data }: Tensor): TensorValue {
  if (!ArrayBuffer.isView(data)) throw new Error(`${type} has no bytes`);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { dtype: type, shape: [...dims], data: bytes };
}

/** Extracts and runs one block after the other on one table of tensors; gives the model's outputs. */
export async function runChain(
  model: OnnxModel,
  blocks: readonly Block[],
  given: { feeds: Tensors; types: ReadonlyMap<string, TensorInfo>; optimised: boolean },
): Promise<Tensors> {
  const table: Tensors = new Map(given.feeds);
  const computed: Tensors = new Map();
  for (const block of blocks) {
    const part = extractSubModel(model, block, given.types);
    const feeds = new Map(part.inputs.map((name) => [name, lookUp(table, name)]));
    const results = await runOnnx(part.bytes, feeds, { optimised: given.optimised });
    for (const name of part.outputs) {
      table.set(name, lookUp(results, name));
      computed.set(name, lookUp(results, name));
    }
  }
  return new Map(model.outputs.map(({ name }) => [name, lookUp(computed, name)]));
}

function lookUp(table: Tensors, name: string): Tensor {
  const tensor = table.get(name);
  if (tensor === undefined) throw new Error(`the chain lacks ${JSON.stringify(name)}`);
  return tensor;
}

/** Seeded inputs: floats between 0 and 1, whole numbers and truths all `fill`. */
export function feedOf(
  dtype: string | null,
  shape: readonly number[],
  options: { seed: number; fill?: number },
): Tensor {
  const length = shape.reduce((product, axis) => product * axis, 1);
  const { fill } = options;
  const random = seededRandom(options.seed);
  if (dtype === "int64") {
    return new Tensor("int64", new BigInt64Array(length).fill(BigInt(fill ?? 1)), shape);
  }
  if (dtype === "int32") return new Tensor("int32", new Int32Array(length).fill(fill ?? 1), shape);
  if (dtype === "uint8") return new Tensor("uint8", new Uint8Array(length).fill(fill ?? 1), shape);
  if (dtype === "bool") return new Tensor("bool", new Uint8Array(length).fill(fill ?? 1), shape);
  if (dtype !== "float32") throw new Error(`no feed of type ${dtype ?? "unknown"}`);
  return new Tensor(
    "float32",
    Float32Array.from({ length }, () => fill ?? random()),
    shape,
  );
}

export function infosOf(tensors: Tensors): Map<string, TensorInfo> {
  return new Map(
    [...tensors].map(([name, { type, dims, data }]) => {
      const bytes = ArrayBuffer.isView(data) ? data.byteLength : 0;
      return [name, { name, dtype: type, shape: [...dims], bytes }];
    }),
  );
}
