import { errorMessage } from "../core/index.js";
import type { Store } from "../store/index.js";
import type { Running } from "./running.js";

/** The store, with every write counted; a write that fails is a problem until one succeeds. */
export function watchedStore(
  store: Store,
  running: Pick<Running, "clock" | "metrics" | "storeProblem">,
): Store {
  const { clock, metrics } = running;
  const count = (result: "ok" | "failed", startedMs: number): void => {
    const durationMs = clock.monotonicMs() - startedMs;
    metrics.storeWritten({ result, durationMs, at: clock.nowMs() });
  };
  return {
    get state() {
      return store.state;
    },
    notice: store.notice,
    async update(change) {
      const startedMs = clock.monotonicMs();
      try {
        await store.update(change);
      } catch (error) {
        running.storeProblem = errorMessage(error);
        count("failed", startedMs);
        throw error;
      }
      running.storeProblem = undefined;
      count("ok", startedMs);
    },
    stop: () => store.stop(),
  };
}
