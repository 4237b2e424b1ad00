const MS_PER_HOUR = 3_600_000;
const HOURS_PER_MONTH = 720;
const BYTES_PER_MEGABYTE = 1_000_000;
/** What is left is spread: a measurement may take this share of it in each of these times. */
const SPREAD_MS = 300_000;

export interface DataBudgetOptions {
  /** Bytes of any hour, in megabytes; null: without limit. */
  megabytesPerHour: number | null;
  /** Bytes of any month in the long run, in megabytes; null: without limit. */
  megabytesPerMonth: number | null;
}

/**
 * How many bytes measurements may still cost. No hour costs more than `megabytesPerHour`; in the long
 * run a month costs no more than `megabytesPerMonth` beside the first hour's. Times are monotonic.
 */
export class DataBudget {
  readonly #capacityBytes: number;
  readonly #bytesPerMs: number;
  #bytes: number;
  #atMs: number;

  constructor(options: DataBudgetOptions, nowMs: number) {
    const hourBytes = (options.megabytesPerHour ?? Number.POSITIVE_INFINITY) * BYTES_PER_MEGABYTE;
    const month = options.megabytesPerMonth ?? Number.POSITIVE_INFINITY;
    const perHourBytes = Math.min((month * BYTES_PER_MEGABYTE) / HOURS_PER_MONTH, hourBytes / 2);
    // A full purse and what comes in within an hour make up that hour's limit.
    this.#capacityBytes =
      perHourBytes === Number.POSITIVE_INFINITY
        ? Number.POSITIVE_INFINITY
        : Math.min(hourBytes - perHourBytes, 24 * perHourBytes);
    this.#bytesPerMs = perHourBytes / MS_PER_HOUR;
    this.#bytes = this.#capacityBytes;
    this.#atMs = nowMs;
  }

  /** Bytes that may be spent now. */
  left(nowMs: number): number {
    if (this.#capacityBytes === Number.POSITIVE_INFINITY) return this.#capacityBytes;
    const earned = (nowMs - this.#atMs) * this.#bytesPerMs;
    this.#atMs = nowMs;
    this.#bytes = Math.min(this.#capacityBytes, this.#bytes + earned);
    return Math.max(0, this.#bytes);
  }

  /** Takes `bytes`, or nothing where they are not there. */
  take(bytes: number, nowMs: number): boolean {
    if (this.left(nowMs) < bytes) return false;
    this.#bytes -= bytes;
    return true;
  }

  /** Pause after a measurement that cost `bytes`: the less is left, the longer. */
  pauseMs(bytes: number, nowMs: number): number {
    const left = this.left(nowMs);
    if (bytes === 0 || left === Number.POSITIVE_INFINITY) return 0;
    const earnMs = bytes / this.#bytesPerMs;
    return Math.min(earnMs, (bytes / Math.max(left, 1)) * SPREAD_MS);
  }
}
