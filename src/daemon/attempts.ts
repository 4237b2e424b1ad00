import type { Clock } from "../core/index.js";
import type { Profile } from "../protocol/index.js";
import { type BenchmarkJob, jobKey, jobName } from "./benchmark-job.js";

export interface AttemptLimits {
  /** A profile older than this is measured again. */
  maxProfileAgeMs: number;
  /** First pause after a failure; doubles up to `retryMsMax`. */
  retryMs: number;
  retryMsMax: number;
}

export interface AttemptDeps {
  /** The profile that the job is to renew. */
  profileOf: (job: BenchmarkJob) => Profile | undefined;
  /** The environment that the node has now, where that profile was measured in another one. */
  staleIn: (job: BenchmarkJob) => string | undefined;
  clock: Clock;
}

interface Attempt {
  failures: number;
  notBeforeMs: number;
  problem: string | undefined;
  /** When it succeeded, by our own clock: that of the node may be wrong by years. 0: never. */
  succeededAtMs: number;
  /** The environment for which it was done anew. */
  measuredIn: string | undefined;
}

/** A profile that was just measured may still be on its way here. */
const ARRIVAL_MS = 30_000;

/** What came of the last attempt at each job, and what follows from that. */
export class Attempts {
  readonly #limits: AttemptLimits;
  readonly #deps: AttemptDeps;
  readonly #byKey = new Map<string, Attempt>();

  constructor(limits: AttemptLimits, deps: AttemptDeps) {
    this.#limits = limits;
    this.#deps = deps;
  }

  /** False while the pause after the last attempt lasts. */
  mayBegin(job: BenchmarkJob): boolean {
    return this.#deps.clock.monotonicMs() >= (this.#byKey.get(jobKey(job))?.notBeforeMs ?? 0);
  }

  /** Whether its profile is missing, of another environment, or too old. */
  isNeeded(job: BenchmarkJob): boolean {
    const { profileOf, staleIn, clock } = this.#deps;
    if (profileOf(job) === undefined) return true;
    const stale = staleIn(job);
    if (stale !== undefined && this.#byKey.get(jobKey(job))?.measuredIn !== stale) return true;
    return clock.nowMs() - this.renewedAt(job) > this.#limits.maxProfileAgeMs;
  }

  /** Unix milliseconds; 0 where it never was. */
  renewedAt(job: BenchmarkJob): number {
    const measuredAt = this.#deps.profileOf(job)?.measuredAt ?? 0;
    return Math.max(measuredAt, this.#byKey.get(jobKey(job))?.succeededAtMs ?? 0);
  }

  /** Failures in a row. */
  failuresOf(job: BenchmarkJob): number {
    return this.#byKey.get(jobKey(job))?.failures ?? 0;
  }

  /** @param measuredIn the stale environment's successor, where that was the reason */
  succeeded(job: BenchmarkJob, measuredIn: string | undefined): void {
    const { clock } = this.#deps;
    this.#byKey.set(jobKey(job), {
      failures: 0,
      notBeforeMs: clock.monotonicMs() + ARRIVAL_MS,
      problem: undefined,
      succeededAtMs: clock.nowMs(),
      measuredIn,
    });
  }

  /** Milliseconds until the job may be tried again: longer after each failure. */
  failed(job: BenchmarkJob, why: string): number {
    const { retryMs, retryMsMax } = this.#limits;
    const failures = (this.#byKey.get(jobKey(job))?.failures ?? 0) + 1;
    const pauseMs = Math.min(retryMs * 2 ** (failures - 1), retryMsMax);
    this.#byKey.set(jobKey(job), {
      failures,
      notBeforeMs: this.#deps.clock.monotonicMs() + pauseMs,
      problem: `benchmark of ${jobName(job)}: ${why}`,
      succeededAtMs: this.#byKey.get(jobKey(job))?.succeededAtMs ?? 0,
      measuredIn: undefined,
    });
    return pauseMs;
  }

  /** A node that left and came back starts without its old failures. */
  forgetOthers(wanted: readonly BenchmarkJob[]): void {
    const keys = new Set(wanted.map(jobKey));
    for (const key of this.#byKey.keys()) if (!keys.has(key)) this.#byKey.delete(key);
  }

  clear(): void {
    this.#byKey.clear();
  }

  /** Failures that persist, in plain words. */
  problems(): string[] {
    return [...this.#byKey.values()].flatMap(({ problem }) => problem ?? []);
  }
}
