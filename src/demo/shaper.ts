import type { Clock } from "../core/index.js";

/** One direction of a link. */
export interface LinkShape {
  delayMs: number;
  bytesPerMs: number;
}

/** What may wait in front of the link, per line, before its source is paused. */
const BUFFERED_BYTES = 131_072;
const BUFFERED_MS = 20;
/** Data are cut into slices that take about this long, so that lines share the link and delays stay exact. */
const SLICE_MS = 1;
const SLICE_BYTES_MIN = 64;
/** Timers fire up to this much late. */
const TIMER_SLACK_MS = 2;
/** With less than this under way, a late delivery would show in a round trip, so short waits spin. */
const LIGHT_BYTES = 4_096;

/** The two ends of a line. */
export interface LineEnds {
  deliver(chunk: Buffer): void;
  end(): void;
  pause(): void;
  resume(): void;
}

export interface Line {
  send(chunk: Buffer): void;
  /** Everything has been sent; `end` follows the last byte. */
  end(): void;
  /** The receiver is slow: deliver nothing on this line for now. */
  hold(): void;
  release(): void;
  close(): void;
}

interface LineState {
  ends: LineEnds;
  bytes: number;
  paused: boolean;
  held: boolean;
  closed: boolean;
  /** Waits for the link; an empty chunk is the end of the stream. */
  queue: Buffer[];
  /** On its way. */
  flight: { chunk: Buffer; dueMs: number }[];
}

/** Paces bytes to a rate, without any credit for idle time, then delays them. Works only while there are any. */
export class Shaper {
  readonly #clock: Clock;
  readonly #lines = new Set<LineState>();
  readonly #stopped = new AbortController();
  #shape: LinkShape;
  /** When the last slice has left; the next one may go then. */
  #freeAtMs = 0;
  #running = false;

  constructor(shape: LinkShape, clock: Clock) {
    this.#shape = shape;
    this.#clock = clock;
  }

  open(ends: LineEnds): Line {
    const line: LineState = {
      ends,
      bytes: 0,
      paused: false,
      held: false,
      closed: false,
      queue: [],
      flight: [],
    };
    this.#lines.add(line);
    return {
      send: (chunk) => this.#enqueue(line, chunk),
      end: () => this.#enqueue(line, Buffer.alloc(0)),
      hold: () => {
        line.held = true;
      },
      release: () => {
        line.held = false;
        this.#wake();
      },
      close: () => {
        line.closed = true;
        this.#lines.delete(line);
      },
    };
  }

  set(shape: LinkShape): void {
    this.#shape = shape;
  }

  stop(): void {
    this.#stopped.abort();
  }

  #enqueue(line: LineState, chunk: Buffer): void {
    if (line.closed) return;
    // While others wait, the time since the link became free is still theirs.
    if (!this.#anyWaiting()) this.#freeAtMs = Math.max(this.#freeAtMs, this.#clock.monotonicMs());
    line.queue.push(chunk);
    line.bytes += chunk.length;
    if (!line.paused && line.bytes > this.#linkBytes() + this.#bufferBytes()) {
      line.paused = true;
      line.ends.pause();
    }
    this.#wake();
  }

  #wake(): void {
    if (this.#running || this.#stopped.signal.aborted) return;
    this.#running = true;
    void this.#run().finally(() => {
      this.#running = false;
    });
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const nowMs = this.#clock.monotonicMs();
      this.#transmit(nowMs);
      const arrivalMs = this.#deliver(nowMs);
      const nextMs = Math.min(arrivalMs, this.#anyWaiting() ? this.#freeAtMs : Infinity);
      if (nextMs === Infinity) return;
      await this.#waitUntil(nextMs);
    }
  }

  /** Lets each line put a slice on the link in turn, as long as the link is free at `nowMs`. */
  #transmit(nowMs: number): void {
    const { bytesPerMs, delayMs } = this.#shape;
    const sliceBytes = Math.max(SLICE_BYTES_MIN, Math.ceil(bytesPerMs * SLICE_MS));
    let sent = true;
    while (sent && this.#freeAtMs <= nowMs) {
      sent = false;
      for (const line of this.#lines) {
        const chunk = line.queue.shift();
        if (chunk === undefined) continue;
        const slice = chunk.subarray(0, sliceBytes);
        if (slice.length < chunk.length) line.queue.unshift(chunk.subarray(slice.length));
        this.#freeAtMs += slice.length / bytesPerMs;
        line.flight.push({ chunk: slice, dueMs: this.#freeAtMs + delayMs });
        sent = true;
      }
    }
  }

  /** Hands over what has arrived; returns the time of the next arrival. */
  #deliver(nowMs: number): number {
    let nextMs = Infinity;
    for (const line of this.#lines) {
      for (let first = line.flight[0]; first !== undefined && !line.held; first = line.flight[0]) {
        if (first.dueMs > nowMs) {
          nextMs = Math.min(nextMs, first.dueMs);
          break;
        }
        line.flight.shift();
        this.#arrive(line, first.chunk);
      }
    }
    return nextMs;
  }

  #arrive(line: LineState, chunk: Buffer): void {
    line.bytes -= chunk.length;
    if (chunk.length === 0) line.ends.end();
    else line.ends.deliver(chunk);
    if (line.paused && line.bytes < this.#linkBytes() + this.#bufferBytes() / 2) {
      line.paused = false;
      line.ends.resume();
    }
  }

  async #waitUntil(atMs: number): Promise<void> {
    const { signal } = this.#stopped;
    const waitMs = atMs - this.#clock.monotonicMs();
    let underWayBytes = 0;
    for (const line of this.#lines) underWayBytes += line.bytes;
    if (underWayBytes >= LIGHT_BYTES) await this.#clock.sleep(waitMs, signal);
    else if (waitMs > TIMER_SLACK_MS) await this.#clock.sleep(waitMs - TIMER_SLACK_MS, signal);
    else await new Promise<void>((resolve) => setImmediate(resolve));
  }

  #anyWaiting(): boolean {
    for (const line of this.#lines) if (line.queue.length > 0) return true;
    return false;
  }

  /** What the link itself holds when it is full. */
  #linkBytes(): number {
    return this.#shape.bytesPerMs * this.#shape.delayMs;
  }

  #bufferBytes(): number {
    return BUFFERED_BYTES + this.#shape.bytesPerMs * BUFFERED_MS;
  }
}
