import type { Tensor } from "onnxruntime-node";
import {
  neededConstants,
  type OnnxModel,
  type TensorValue,
  withShapeConstants,
} from "../model/index.js";
import type { Tensors } from "./child-tensors.js";
import { fetchTensors } from "./child-types.js";
import type { ChildConfig } from "./messages.js";

/** Larger ones stay ordinary tensors: each sub-model that needs a shape constant has a copy. */
const SHAPE_CONSTANT_BYTES_MAX = 1024 * 1024;
/** All of a model's shape constants; those that come too late stay ordinary tensors. */
const SHAPE_CONSTANTS_BYTES_MAX = 32 * 1024 * 1024;
/** Each value that is refused makes those it is computed from needed, which takes another run. */
const ROUNDS_MAX = 8;

/**
 * The model for the shapes of `feeds`: one more run tells the values that depend on shapes alone,
 * and what cannot be fetched or is too large does not become a constant.
 * @throws AppError INFERENCE_FAILED
 */
export async function bindShapes(
  model: OnnxModel,
  context: { feeds: Tensors; config: ChildConfig },
): Promise<OnnxModel> {
  const candidates = new Set(model.shapeDependents);
  for (const name of model.nonTensors) candidates.delete(name);
  const values = new Map<string, TensorValue>();
  let bytesLeft = SHAPE_CONSTANTS_BYTES_MAX;
  const take = (name: string, tensor: Tensor): void => {
    const value = valueOf(tensor);
    if (value === undefined || value.data.byteLength > bytesLeft) return;
    bytesLeft -= value.data.byteLength;
    values.set(name, value);
  };
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const wanted = neededConstants(model, candidates).filter((name) => !values.has(name));
    if (wanted.length === 0) break;
    await fetchTensors(model, wanted, { ...context, take });
    for (const name of wanted) if (!values.has(name)) candidates.delete(name);
  }
  return withShapeConstants(model, values);
}

/** A copy of a small tensor; undefined for a large one, for text and for packed 4-bit numbers. */
function valueOf({ type, dims, data }: Tensor): TensorValue | undefined {
  const elements = dims.reduce((product, length) => product * length, 1);
  if (!ArrayBuffer.isView(data) || data.length !== elements) return undefined;
  if (data.byteLength > SHAPE_CONSTANT_BYTES_MAX) return undefined;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  return { dtype: type, shape: [...dims], data: bytes };
}
