import { AppError } from "../core/index.js";

interface Work {
  key: string;
  result: Promise<unknown>;
  /** Those who still wait for it. */
  askers: number;
  gone: AbortController;
}

/**
 * What must have the machine to itself, one after another: two measurements at once would falsify each
 * other. A second request for what is being done joins it (a daemon that was restarted asks again); the
 * work ends when nobody waits for it any more.
 */
export class OneAtATime {
  #current: Work | undefined;

  /** Whether other work than that of `key` is under way. */
  isBusyWithout(key: string): boolean {
    return this.#current !== undefined && this.#current.key !== key;
  }

  /**
   * Does the work, or joins it where `key` is that of the work under way. The key names kind and content
   * of the work, so one key stands for one type of result. `signal`: who asks waits no longer.
   * @throws AppError COMMAND_FAILED where other work is under way; what the work throws
   */
  async run<T>(
    { key, signal }: { key: string; signal: AbortSignal },
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    while (this.#current?.gone.signal.aborted === true) {
      await this.#current.result.catch(() => undefined);
    }
    if (signal.aborted) throw new AppError("ABORTED", "nobody waits for it any more");
    if (this.isBusyWithout(key)) {
      throw new AppError("COMMAND_FAILED", "busy with another benchmark; ask again later");
    }
    this.#current ??= this.#begin(key, work);
    join(this.#current, signal);
    return this.#current.result as Promise<T>;
  }

  #begin(key: string, work: (signal: AbortSignal) => Promise<unknown>): Work {
    const gone = new AbortController();
    const result = work(gone.signal).finally(() => {
      this.#current = undefined;
    });
    return { key, result, askers: 0, gone };
  }
}

function join(work: Work, signal: AbortSignal): void {
  work.askers += 1;
  const leave = (): void => {
    work.askers -= 1;
    if (work.askers === 0) work.gone.abort();
  };
  if (signal.aborted) leave();
  else signal.addEventListener("abort", leave, { once: true });
}
