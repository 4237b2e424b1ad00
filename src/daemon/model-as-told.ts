import type { BenchmarkCommand, Sidecar } from "../protocol/index.js";
import type { ModelFile } from "./models.js";

/** The options with as many tensors for a cut as this model is to have, wherever it is cut. */
export function withCutsOf<T extends { maxCutTensors: number }>(
  { maxCutTensors }: Pick<ModelFile, "maxCutTensors">,
  options: T,
): T {
  return maxCutTensors === undefined ? options : { ...options, maxCutTensors };
}

/**
 * The part of a command that tells an agent of a model: which one, with the files beside it, and how to
 * run and to cut it. @throws AppError MODEL_CHANGED | MODEL_* | INFERENCE_* | ABORTED
 */
export async function asTold(
  model: ModelFile,
  context: {
    benchmark: { maxCutTensors: number };
    sidecarsOf: (model: ModelFile, signal: AbortSignal) => Promise<Sidecar[]>;
    signal: AbortSignal;
  },
): Promise<
  Pick<BenchmarkCommand, "model" | "maxCutTensors" | "sidecars"> & Pick<ModelFile, "inputs">
> {
  const { name, sha256, inputs } = model;
  const { maxCutTensors } = withCutsOf(model, context.benchmark);
  const sidecars = await context.sidecarsOf(model, context.signal);
  return {
    model: { name, sha256 },
    inputs,
    maxCutTensors,
    ...(sidecars.length === 0 ? {} : { sidecars }),
  };
}
