import { type InferenceOptions, probeProviders, type WorkerDeps } from "../inference/index.js";
import type { MissingProvider } from "../protocol/index.js";

/**
 * Configured execution providers that do not compute here, and why; each is tried in a child process.
 * The CPU always does, so that with it alone nothing is started.
 * @throws AppError ABORTED
 */
export async function findMissingProviders(
  inference: InferenceOptions,
  deps: WorkerDeps,
): Promise<MissingProvider[]> {
  const executionProviders = inference.executionProviders.filter((name) => name !== "cpu");
  const states = await probeProviders({ ...inference, executionProviders }, deps);
  return states
    .filter(({ available }) => !available)
    .map(({ name, reason }) => ({ name, reason: reason ?? "no reason given" }));
}
