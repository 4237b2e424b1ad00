/** At most `max` in each window of time; windows begin with the first one that is asked for. */
export class RateLimit {
  readonly #max: number;
  readonly #lengthMs: number;
  #windowMs = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(limit: { max: number; windowMs: number }) {
    this.#max = limit.max;
    this.#lengthMs = limit.windowMs;
  }

  /** Counts one more, at a monotonic time; false where that is one too many. */
  admits(nowMs: number): boolean {
    if (nowMs - this.#windowMs >= this.#lengthMs) {
      this.#windowMs = nowMs;
      this.#count = 0;
    }
    this.#count += 1;
    return this.#count <= this.#max;
  }
}
