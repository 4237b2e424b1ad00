/** Passes may take this share of the time in the long run. */
const SHARE = 0.2;
/** A pass counts at least this long: 20 a second under a storm, with the share above. */
const PASS_MS_MIN = 10;
/** Saved up in quiet times: so many passes begin at once. */
const CREDIT_MS_MAX = 80;
/** A long pass, which mostly waits for others, holds up the next one no longer than for this debt. */
const DEBT_MS_MAX = 60;

/**
 * Bounds the share of time that the planning loop takes, whatever a storm of telemetry demands: after
 * a quiet time the first event is acted on at once, further ones are gathered. Times are monotonic.
 */
export class Pace {
  #creditMs = CREDIT_MS_MAX;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /** A pass has ended; returns how long the next one has to wait. */
  afterPass(startedMs: number, nowMs: number): number {
    const costMs = Math.max(PASS_MS_MIN, nowMs - startedMs);
    const refilledMs = this.#creditMs + (nowMs - this.#atMs) * SHARE;
    this.#atMs = nowMs;
    this.#creditMs = Math.max(Math.min(refilledMs, CREDIT_MS_MAX) - costMs, -DEBT_MS_MAX);
    return Math.max(0, (PASS_MS_MIN - this.#creditMs) / SHARE);
  }
}
