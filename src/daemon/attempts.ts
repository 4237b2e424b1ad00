import { type Clock, type ErrorCode, errorMessage, isAppError } from "../core/index.js";
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
  /** Whether its model is still one of those that are to be measured. */
  isConfigured: (job: BenchmarkJob) => boolean;
  /** What the node computes with; nodes that are alike in it fail alike at a model. */
  softwareOf: (job: BenchmarkJob) => string;
  clock: Clock;
}

interface Failure {
  /** In a row. */
  failures: number;
  notBeforeMs: number;
  problem: string | undefined;
}

interface Attempt extends Failure {
  /** When it succeeded, by our own clock: that of the node may be wrong by years. 0: never. */
  succeededAtMs: number;
  /** The environment for which it was done anew. */
  measuredIn: string | undefined;
}

/**
 * What is in the file is wrong, or what the options say of it: another machine finds the same, as a rule.
 * Not where the node is more likely to blame: its own limit on sizes, too little memory or time.
 */
const MODEL_FAULTS: ReadonlySet<ErrorCode | undefined> = new Set([
  "MODEL_UNREADABLE",
  "MODEL_UNSUPPORTED",
  "MODEL_INPUT_UNBOUND",
  "MODEL_INPUT_INVALID",
  "MODEL_UNSTABLE",
  "MODEL_NOT_A_NUMBER",
  "MODEL_NOT_EQUAL",
  "INFERENCE_FAILED",
]);

/** Its node went in the middle of it. */
interface CutShort {
  job: BenchmarkJob;
  /** Model and software that this concerns. */
  modelKey: string;
  /** In a row. */
  times: number;
  notBeforeMs: number;
}

/** A profile that was just measured may still be on its way here. */
const ARRIVAL_MS = 30_000;
const CUT_SHORT_MAX = 1_000;

/** What came of the last attempt at each job, and what follows from that. */
export class Attempts {
  readonly #limits: AttemptLimits;
  readonly #deps: AttemptDeps;
  readonly #byKey = new Map<string, Attempt>();
  /** Models that cannot be measured for what is in their file, by model and software. */
  readonly #badModels = new Map<string, Failure>();
  /** Models that were measured somewhere, by the same: what fails at them is the node. */
  readonly #provenModels = new Set<string>();
  /** Those that ended with their node's going, by key; the oldest first. Outlives the node's absence. */
  readonly #cutShort = new Map<string, CutShort>();

  constructor(limits: AttemptLimits, deps: AttemptDeps) {
    this.#limits = limits;
    this.#deps = deps;
  }

  /** False while the pause after the last attempt lasts. */
  mayBegin(job: BenchmarkJob): boolean {
    const notBeforeMs = Math.max(
      this.#byKey.get(jobKey(job))?.notBeforeMs ?? 0,
      this.#badModels.get(this.#modelKey(job))?.notBeforeMs ?? 0,
      this.#cutShort.get(jobKey(job))?.notBeforeMs ?? 0,
    );
    return this.#deps.clock.monotonicMs() >= notBeforeMs;
  }

  /** Whether its profile is missing, of another environment, too old, or was about to be renewed. */
  isNeeded(job: BenchmarkJob): boolean {
    const { profileOf, staleIn, clock } = this.#deps;
    if (profileOf(job) === undefined || this.#cutShort.has(jobKey(job))) return true;
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
    const ofModel = this.#badModels.get(this.#modelKey(job))?.failures ?? 0;
    const cutShort = this.#cutShort.get(jobKey(job))?.times ?? 0;
    return ofModel + cutShort + (this.#byKey.get(jobKey(job))?.failures ?? 0);
  }

  /** @param measuredIn the stale environment's successor, where that was the reason */
  succeeded(job: BenchmarkJob, measuredIn: string | undefined): void {
    const { clock } = this.#deps;
    this.#badModels.delete(this.#modelKey(job));
    this.#provenModels.add(this.#modelKey(job));
    this.#cutShort.delete(jobKey(job));
    this.#byKey.set(jobKey(job), {
      failures: 0,
      notBeforeMs: clock.monotonicMs() + ARRIVAL_MS,
      problem: undefined,
      succeededAtMs: clock.nowMs(),
      measuredIn,
    });
  }

  /**
   * Its node went in the middle of it: it is due when that is back. At once, as that is chance the first
   * time; a node that goes each time may be taken down by it, and is given longer and longer pauses.
   */
  cutShort(job: BenchmarkJob): void {
    const key = jobKey(job);
    const times = (this.#cutShort.get(key)?.times ?? 0) + 1;
    const pauseMs = times === 1 ? 0 : this.#pauseMsAfter(times - 1);
    this.#cutShort.delete(key);
    const notBeforeMs = this.#deps.clock.monotonicMs() + pauseMs;
    this.#cutShort.set(key, { job, modelKey: this.#modelKey(job), times, notBeforeMs });
    const [oldest] = this.#cutShort.keys();
    if (this.#cutShort.size > CUT_SHORT_MAX && oldest !== undefined) this.#cutShort.delete(oldest);
  }

  /** Whether the model is known to be sound on a node with this software. */
  isProven(job: BenchmarkJob): boolean {
    return this.#provenModels.has(this.#modelKey(job)) || this.#deps.profileOf(job) !== undefined;
  }

  /** Whether a fault of the model's own would be the same for both. */
  areAlike(one: BenchmarkJob, other: BenchmarkJob): boolean {
    return this.#modelKey(one) === this.#modelKey(other);
  }

  /**
   * Milliseconds until the job may be tried again: longer after each failure. A fault of the model's own
   * counts for all nodes with the same software, so that it is met once and not on each of them; the
   * next try falls to another node, in case the first was to blame.
   */
  failed(job: BenchmarkJob, error: unknown): number {
    const isModels = MODEL_FAULTS.has(codeOf(error)) && !this.isProven(job);
    const own = this.#byKey.get(jobKey(job));
    const before = isModels ? this.#badModels.get(this.#modelKey(job)) : own;
    const failures = (before?.failures ?? 0) + 1;
    const pauseMs = this.#pauseMsAfter(failures);
    const failure: Failure = {
      failures,
      notBeforeMs: this.#deps.clock.monotonicMs() + pauseMs,
      problem: `benchmark of ${jobName(job)}: ${errorMessage(error)}`,
    };
    const past = { succeededAtMs: own?.succeededAtMs ?? 0, measuredIn: undefined };
    if (isModels) {
      this.#badModels.set(this.#modelKey(job), failure);
      const tries = (own?.failures ?? 0) + 1;
      this.#byKey.set(jobKey(job), {
        failures: tries,
        notBeforeMs: 0,
        problem: undefined,
        ...past,
      });
    } else {
      this.#byKey.set(jobKey(job), { ...failure, ...past });
    }
    return pauseMs;
  }

  /**
   * A node that left and came back starts without its old failures, and so does a changed model. What its
   * going cut short is remembered for as long as the model is configured; with other software or options
   * it may well be done, so it is due at once.
   */
  forgetOthers(wanted: readonly BenchmarkJob[]): void {
    const keys = new Set(wanted.map(jobKey));
    for (const key of this.#byKey.keys()) if (!keys.has(key)) this.#byKey.delete(key);
    const models = new Set(wanted.map((job) => this.#modelKey(job)));
    for (const key of this.#badModels.keys()) if (!models.has(key)) this.#badModels.delete(key);
    for (const key of this.#provenModels) if (!models.has(key)) this.#provenModels.delete(key);
    for (const [key, { job }] of this.#cutShort) {
      if (!this.#deps.isConfigured(job)) this.#cutShort.delete(key);
    }
    for (const job of wanted) {
      const modelKey = this.#modelKey(job);
      const known = this.#cutShort.get(jobKey(job));
      if (known === undefined || known.modelKey === modelKey) continue;
      this.#cutShort.set(jobKey(job), { job, modelKey, times: 0, notBeforeMs: 0 });
    }
  }

  /** All is tried again but what took its node down each time. */
  clearFailures(): void {
    this.#byKey.clear();
    this.#badModels.clear();
  }

  clear(): void {
    this.clearFailures();
    this.#cutShort.clear();
  }

  /** Failures that persist, in plain words. */
  problems(): string[] {
    const failed = [...this.#badModels.values(), ...this.#byKey.values()].flatMap(
      ({ problem }) => problem ?? [],
    );
    const nowMs = this.#deps.clock.monotonicMs();
    const paused = [...this.#cutShort.values()].filter(({ notBeforeMs }) => notBeforeMs > nowMs);
    const takenDown = paused.map(
      ({ job, times }) =>
        `benchmark of ${jobName(job)}: the node went in the middle of it ${times} times in a row`,
    );
    return [...failed, ...takenDown];
  }

  #pauseMsAfter(failures: number): number {
    const { retryMs, retryMsMax } = this.#limits;
    return Math.min(retryMs * 2 ** (failures - 1), retryMsMax);
  }

  #modelKey(job: BenchmarkJob): string {
    const { sha256, inputs, maxCutTensors } = job.model;
    return JSON.stringify([sha256, inputs, maxCutTensors, this.#deps.softwareOf(job)]);
  }
}

/** That of what the node itself said, where another node failed. */
function codeOf(error: unknown): ErrorCode | undefined {
  if (!isAppError(error)) return undefined;
  const told = error.code === "COMMAND_FAILED" ? codeOf(error.cause) : undefined;
  return told ?? error.code;
}
