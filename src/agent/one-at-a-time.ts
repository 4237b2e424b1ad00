import { AppError } from "../core/index.js";

/**
 * What must have the machine to itself, one after another: two measurements at once would falsify each
 * other. A second request for what is being done joins it (a daemon that was restarted asks again).
 */
export class OneAtATime {
  #current: { key: string; result: Promise<unknown> } | undefined;

  /** Whether other work than that of `key` is under way. */
  isBusyWithout(key: string): boolean {
    return this.#current !== undefined && this.#current.key !== key;
  }

  /**
   * Does the work, or joins it where `key` is that of the work under way. The key names kind and content
   * of the work, so one key stands for one type of result.
   * @throws AppError COMMAND_FAILED where other work is under way; what the work throws
   */
  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (this.#current !== undefined) {
      if (this.#current.key === key) return this.#current.result as Promise<T>;
      const text = "busy with another benchmark; ask again later";
      return Promise.reject(new AppError("COMMAND_FAILED", text));
    }
    const result = work().finally(() => {
      this.#current = undefined;
    });
    this.#current = { key, result };
    return result;
  }
}
