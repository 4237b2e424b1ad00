import { errorMessage } from "./errors.js";
import type { Logger } from "./logger.js";

interface Step {
  name: string;
  run: () => unknown;
}

export interface TeardownOptions {
  /** A step that takes longer is given up, logged, and the next one runs. */
  stepTimeoutMs: number;
}

/**
 * Named steps, run last-in-first-out, each bounded in time. Every step runs even if others fail;
 * `run` is idempotent and rejects with an AggregateError when any step failed.
 */
export class Teardown {
  readonly #log: Logger;
  readonly #options: TeardownOptions;
  readonly #steps: Step[] = [];
  #running: Promise<void> | undefined;

  constructor(log: Logger, options: TeardownOptions) {
    this.#log = log;
    this.#options = options;
  }

  /** Register the step the moment the resource exists. */
  defer(name: string, run: () => unknown): void {
    this.#steps.push({ name, run });
  }

  run(): Promise<void> {
    this.#running ??= this.#runAll();
    return this.#running;
  }

  async #runAll(): Promise<void> {
    const failures: unknown[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await this.#bounded(step);
      } catch (error) {
        this.#log.error({ step: step.name, err: error }, "teardown step failed");
        failures.push(error);
      }
    }
    if (failures.length > 0) {
      throw new AggregateError(failures, failures.map(errorMessage).join("; "));
    }
  }

  async #bounded(step: Step): Promise<void> {
    const { stepTimeoutMs } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const expiry = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${step.name} did not stop within ${stepTimeoutMs} ms`)),
        stepTimeoutMs,
      );
    });
    try {
      await Promise.race([Promise.resolve(step.run()), expiry]);
    } finally {
      clearTimeout(timer);
    }
  }
}
