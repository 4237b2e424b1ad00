import { type ListedSidecar, startModelWorker } from "../inference/index.js";
import type { BenchmarkOptions } from "./options.js";
import type { BenchmarkDeps } from "./with-model.js";

/**
 * The files beside a model that hold weights of it. The model is read in a child process: it may be
 * hostile.
 * @throws AppError MODEL_UNREADABLE | MODEL_TOO_LARGE | INFERENCE_* | ABORTED
 */
export async function listSidecars(
  path: string,
  options: BenchmarkOptions,
  deps: Pick<BenchmarkDeps, "log" | "clock" | "signal">,
): Promise<ListedSidecar[]> {
  const worker = await startModelWorker(options.inference, deps);
  try {
    return await worker.sidecars(path);
  } finally {
    await worker.stop();
  }
}
