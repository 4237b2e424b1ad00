import { errorMessage, isAppError } from "../core/index.js";
import type { ProviderState } from "./messages.js";
import type { InferenceOptions } from "./options.js";
import { startModelWorker } from "./worker.js";
import type { WorkerDeps } from "./worker-process.js";

/**
 * Which of `options.executionProviders` compute here. Each is tried in a child process of its own:
 * a broken driver crashes or hangs it, and that is an answer, too.
 * @throws AppError ABORTED
 */
export async function probeProviders(
  options: InferenceOptions,
  deps: WorkerDeps,
): Promise<ProviderState[]> {
  const states: ProviderState[] = [];
  for (const name of options.executionProviders) {
    const alone = { ...options, executionProviders: [name] };
    try {
      const worker = await startModelWorker(alone, deps);
      try {
        states.push(await worker.probe(name));
      } finally {
        await worker.stop();
      }
    } catch (error) {
      if (isAppError(error, "ABORTED")) throw error;
      states.push({ name, available: false, reason: errorMessage(error) });
    }
  }
  return states;
}
