const POLL_MS_MIN = 5;
/** What has lasted for long is looked at less often: looking takes time from what is waited for. */
const POLL_MS_MAX = 50;
const POLL_SHARE_OF_WAIT = 0.05;

/** Resolves with the first truthy value of `condition`; rejects with `what` after the deadline. */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: { timeoutMs?: number; what?: string } = {},
): Promise<NonNullable<T>> {
  const { timeoutMs = 10_000, what = "the condition" } = options;
  const startMs = performance.now();
  for (;;) {
    const value = await condition();
    if (value) return value;
    const waitedMs = performance.now() - startMs;
    if (waitedMs > timeoutMs) throw new Error(`${what} did not hold in ${timeoutMs} ms`);
    const pauseMs = Math.min(Math.max(waitedMs * POLL_SHARE_OF_WAIT, POLL_MS_MIN), POLL_MS_MAX);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
