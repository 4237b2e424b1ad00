import { AppError } from "../core/index.js";

const WAITING_MAX = 1_000;

/**
 * Turns at the machines on which nodes run: whatever measures takes one, so that no two measurements
 * disturb each other, also where several nodes share a machine. First come, first served.
 */
export class HostTurns {
  /** The end of the newest turn of each host that has one. */
  readonly #tails = new Map<string, Promise<void>>();
  #waiting = 0;

  isFree(host: string): boolean {
    return !this.#tails.has(host);
  }

  /**
   * Waits for the host's turn, then does the work. While it waits, the signal ends the wait.
   * @throws AppError ABORTED | COMMAND_FAILED when too many wait; what the work throws
   */
  async run<T>(host: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const before = this.#tails.get(host);
    if (before !== undefined && this.#waiting >= WAITING_MAX) {
      throw new AppError("COMMAND_FAILED", `${WAITING_MAX} measurements wait for their turn`);
    }
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const tail = before === undefined ? ended : before.then(() => ended);
    this.#tails.set(host, tail);
    void tail.then(() => {
      if (this.#tails.get(host) === tail) this.#tails.delete(host);
    });
    try {
      if (before !== undefined) await this.#wait(before, signal);
      if (signal.aborted) throw new AppError("ABORTED", "the measurement was given up");
      return await work();
    } finally {
      end();
    }
  }

  async #wait(before: Promise<void>, signal: AbortSignal): Promise<void> {
    this.#waiting += 1;
    let abort = (): void => undefined;
    const aborted = new Promise<void>((resolve) => (abort = resolve));
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    await Promise.race([before, aborted]);
    signal.removeEventListener("abort", abort);
    this.#waiting -= 1;
  }
}
