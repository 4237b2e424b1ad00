import type { Inspection } from "../protocol/index.js";
import type { BenchmarkOptions } from "./options.js";
import { type BenchmarkDeps, type ModelRequest, withModel } from "./with-model.js";

/**
 * What can be known of a model without timing it: inputs, outputs, and every cut point with its
 * tensors as they are when the model runs.
 * @throws AppError MODEL_* | INFERENCE_* | ABORTED
 */
export function inspectModel(
  request: ModelRequest,
  options: BenchmarkOptions,
  deps: BenchmarkDeps,
): Promise<Inspection> {
  return withModel(request, { options, deps }, (_worker, opened) => {
    const { model, layers, inputs, outputs, cutPoints } = opened;
    return Promise.resolve({ model, layers, inputs, outputs, cutPoints });
  });
}
