import type { Clock } from "../../src/core/index.js";

/** A clock that moves only when told to; sleepers wake in order of their deadlines. */
export class ManualClock implements Clock {
  #elapsedMs = 0;
  #wallMs: number;
  readonly #sleepers = new Set<{ atMs: number; wake: () => void }>();

  constructor(wallMs = Date.UTC(2030, 0, 1)) {
    this.#wallMs = wallMs;
  }

  nowMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const sleeper = {
        atMs: this.#elapsedMs + delayMs,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener("abort", sleeper.wake);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", sleeper.wake, { once: true });
    });
  }

  /** How many sleepers wait. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  /** Moves both clocks and wakes every sleeper whose time has come. */
  advance(deltaMs: number): void {
    this.#elapsedMs += deltaMs;
    this.#wallMs += deltaMs;
    const due = [...this.#sleepers].filter((sleeper) => sleeper.atMs <= this.#elapsedMs);
    for (const sleeper of due.sort((a, b) => a.atMs - b.atMs)) sleeper.wake();
  }

  /** Moves the wall clock alone, as an administrator or NTP would. */
  jumpWall(deltaMs: number): void {
    this.#wallMs += deltaMs;
  }
}
