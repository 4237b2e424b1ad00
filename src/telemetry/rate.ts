import type { Clock } from "../core/index.js";

export interface Rate {
  perSecond: number;
  burst: number;
}

export interface Bucket {
  tokens: number;
  filledAtMs: number;
}

/** Takes `count` tokens if they are there; the bucket refills with time up to `burst`. */
export function takeTokens(
  bucket: Bucket | undefined,
  rate: Rate,
  { nowMs, count }: { nowMs: number; count: number },
): { bucket: Bucket; taken: boolean } {
  const { tokens: left, filledAtMs } = bucket ?? { tokens: rate.burst, filledAtMs: nowMs };
  const refill = (Math.max(0, nowMs - filledAtMs) / 1_000) * rate.perSecond;
  const tokens = Math.min(rate.burst, left + refill);
  const taken = tokens >= count;
  return { bucket: { tokens: taken ? tokens - count : tokens, filledAtMs: nowMs }, taken };
}

export interface LatestOptions {
  rate: Rate;
  /** Keys followed at a time; a value under a further key is refused. */
  keysMax: number;
}

export type OfferVerdict = "passed" | "held" | "replaced" | "full";

/** A key that was not used for so long gives way when there is no room. */
const IDLE_MS = 60_000;

interface Slot<T> {
  bucket: Bucket;
  held: { value: T } | undefined;
}

/**
 * Passes values on at a bounded rate per key. A value above the rate is held until a token is there;
 * a newer one takes its place. So a flood costs one value per key, and the newest always arrives.
 */
export class LatestPerKey<T> {
  readonly #options: LatestOptions;
  readonly #clock: Clock;
  readonly #deliver: (value: T) => void;
  readonly #slots = new Map<string, Slot<T>>();
  readonly #stopped = new AbortController();
  #flushing = false;

  constructor(options: LatestOptions, clock: Clock, deliver: (value: T) => void) {
    this.#options = options;
    this.#clock = clock;
    this.#deliver = deliver;
  }

  offer(key: string, value: T): OfferVerdict {
    const known = this.#slots.get(key);
    if (known === undefined && !this.#hasRoom()) return "full";
    const { bucket, taken } = this.#take(known?.bucket);
    const replaced = known?.held !== undefined;
    // The first one is always the one that was used longest ago.
    this.#slots.delete(key);
    this.#slots.set(key, { bucket, held: taken ? undefined : { value } });
    if (taken) {
      this.#deliver(value);
      return replaced ? "replaced" : "passed";
    }
    if (!this.#flushing) void this.#flushLater();
    return replaced ? "replaced" : "held";
  }

  stop(): void {
    this.#stopped.abort();
    this.#slots.clear();
  }

  #hasRoom(): boolean {
    if (this.#slots.size < this.#options.keysMax) return true;
    for (const [key, { bucket, held }] of this.#slots) {
      if (held !== undefined || this.#clock.monotonicMs() - bucket.filledAtMs < IDLE_MS) break;
      this.#slots.delete(key);
    }
    return this.#slots.size < this.#options.keysMax;
  }

  #take(bucket: Bucket | undefined): { bucket: Bucket; taken: boolean } {
    const nowMs = this.#clock.monotonicMs();
    return takeTokens(bucket, this.#options.rate, { nowMs, count: 1 });
  }

  async #flushLater(): Promise<void> {
    const { signal } = this.#stopped;
    this.#flushing = true;
    let waiting = true;
    while (waiting && !signal.aborted) {
      await this.#clock.sleep(1_000 / this.#options.rate.perSecond, signal);
      waiting = this.#flush();
    }
    this.#flushing = false;
  }

  /** Passes on every held value that has a token now; true while some still wait. */
  #flush(): boolean {
    let waiting = false;
    for (const slot of this.#slots.values()) {
      if (slot.held === undefined) continue;
      const { bucket, taken } = this.#take(slot.bucket);
      slot.bucket = bucket;
      if (!taken) {
        waiting = true;
        continue;
      }
      const { value } = slot.held;
      slot.held = undefined;
      this.#deliver(value);
    }
    return waiting;
  }
}
