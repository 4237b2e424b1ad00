import { errorMessage } from "../core/index.js";
import { type InferenceOptions, probeProviders, type WorkerDeps } from "../inference/index.js";
import type { MissingProvider } from "../protocol/index.js";

/**
 * Configured execution providers that do not compute here, and why; each is tried in a child process,
 * and logged. The CPU always does, so that with it alone nothing is started. Undefined where they could
 * not be tried, or `deps.signal` ended it.
 */
export async function findMissingProviders(
  inference: InferenceOptions,
  deps: WorkerDeps,
): Promise<MissingProvider[] | undefined> {
  const executionProviders = inference.executionProviders.filter((name) => name !== "cpu");
  try {
    const states = await probeProviders({ ...inference, executionProviders }, deps);
    if (deps.signal?.aborted === true) return undefined;
    const missingProviders = states
      .filter(({ available }) => !available)
      .map(({ name, reason }) => ({ name, reason: reason ?? "no reason given" }));
    if (missingProviders.length > 0) {
      deps.log.error({ missingProviders }, "no such execution provider");
    }
    return missingProviders;
  } catch (error) {
    deps.log.debug({ problem: errorMessage(error) }, "execution providers not tried");
    return undefined;
  }
}
