import type { Extracted, LayerRange } from "../inference/index.js";
import type { BenchmarkOptions } from "./options.js";
import { type BenchmarkDeps, type ModelRequest, withModel } from "./with-model.js";

export interface ExtractRequest extends ModelRequest, LayerRange {
  /** Path of the file that is written. */
  destination: string;
}

/**
 * Writes a range of layers as an ONNX file that any runtime loads.
 * @throws AppError MODEL_* | INFERENCE_* | STORE_WRITE_FAILED | ABORTED
 */
export function extractPartition(
  request: ExtractRequest,
  options: BenchmarkOptions,
  deps: BenchmarkDeps,
): Promise<Extracted> {
  const { firstLayer, lastLayer, destination } = request;
  return withModel(request, { options, deps }, (worker) =>
    worker.extract({ firstLayer, lastLayer }, destination),
  );
}
