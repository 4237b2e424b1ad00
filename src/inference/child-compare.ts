import type { Tensor } from "onnxruntime-node";
import { AppError, printable } from "../core/index.js";
import type { TimedRuns } from "./child-runs.js";
import { fromHalf, type Tensors } from "./child-tensors.js";
import { type ComparedTensor, compareTensors, worstOf } from "./compare.js";
import type { Compared } from "./messages.js";

/**
 * Compares every tensor of `expected` with the one of that name in `actual`.
 * @throws AppError INTERNAL when `actual` lacks one: the chain was not run to its end
 */
export function compareOutputs(
  expected: Tensors,
  actual: Tensors,
  relativeTolerance: number,
): Compared {
  const comparisons = [...expected].map(([name, tensor]) => {
    const chained = actual.get(name);
    if (chained === undefined) {
      throw new AppError("INTERNAL", `the chained parts did not produce ${printable(name)}`);
    }
    return compareTensors(comparable(tensor), comparable(chained), relativeTolerance);
  });
  return worstOf(comparisons);
}

/** A split of a model that never computes the same twice cannot be checked. */
export function refuseUnstable(timed: TimedRuns, relativeTolerance: number): void {
  for (const [name, tensor] of timed.last) refuseNaN(name, comparable(tensor));
  const compared = compareOutputs(timed.first, timed.last, relativeTolerance);
  if (compared.ok) return;
  throw new AppError(
    "MODEL_UNSTABLE",
    `two runs of the whole model on the same input differ by up to ${compared.maxAbsoluteError}: it is random or keeps state, so no split of it can be checked`,
  );
}

/** NaN equals NaN in a comparison, and a model that yields nothing else would pass with any split. */
function refuseNaN(name: string, { data }: ComparedTensor): void {
  if (!ArrayBuffer.isView(data)) return;
  for (let index = 0; index < data.length; index++) {
    if (!Number.isNaN(data[index])) continue;
    throw new AppError(
      "MODEL_NOT_A_NUMBER",
      `output ${printable(name)} of the whole model is NaN at element ${index}; give inputs that the model was made for, as a range or a file`,
    );
  }
}

/** Half-precision data arrives as raw bits where the platform has no Float16Array. */
function comparable(tensor: Tensor): ComparedTensor {
  const { data } = tensor;
  const isRawHalf = tensor.type === "float16" && data instanceof Uint16Array;
  const numbers = isRawHalf ? Float32Array.from(data, fromHalf) : data;
  return { dtype: tensor.type, shape: tensor.dims, data: numbers };
}
