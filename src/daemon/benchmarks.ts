import { AppError, isAppError, type Logger } from "../core/index.js";
import { type AttemptDeps, type AttemptLimits, Attempts } from "./attempts.js";
import { type BenchmarkJob, jobKey, jobName } from "./benchmark-job.js";
import type { HostTurns } from "./host-turns.js";
import type { RefreshRun } from "./refresh-run.js";

export interface BenchmarkLimits extends AttemptLimits {
  /** The loop looks for due work at least this often. */
  resyncMs: number;
  /** Machines that are measured at the same time. */
  hostsMax: number;
}

/** `lost`: its node went in the middle of it, or was restarted. */
export type BenchmarkResult = "ok" | "failed" | "lost" | "given_up";

export interface MeasureLimits {
  signal: AbortSignal;
  /** A short look at a profile from before is enough, if it says so. */
  mayLook: boolean;
  timeLeftMs: number;
}

export interface BenchmarkDeps extends AttemptDeps {
  /** Every model with every node that is to be measured for it, at this moment. */
  wanted: () => readonly BenchmarkJob[];
  isOnline: (node: string) => boolean;
  /** Whether the benchmark under way has run the model as a whole. */
  hasRun: (job: BenchmarkJob) => boolean;
  /** Measures and records the profile; resolves with what was done, rejects when that failed. */
  measure: (job: BenchmarkJob, limits: MeasureLimits) => Promise<string>;
  onFinished: (job: BenchmarkJob, outcome: { elapsedMs: number; result: BenchmarkResult }) => void;
  turns: HostTurns;
  refresh: RefreshRun;
  log: Logger;
}

export interface Benchmarks {
  /** There may be new work: look soon. */
  request(): void;
  /**
   * Measure everything that is wanted, however fresh its profile and whatever failed before. A model that
   * takes its node down is tried before its time only where an operator asks for it.
   */
  refreshAll(askedBy: "schedule" | "operator"): void;
  /** "mobilenet on gpu-1", or null. */
  running(): string | null;
  isRunning(modelSha256: string, node: string): boolean;
  /** What came of the last benchmark that ended, in plain words; null before the first. */
  lastOutcome(): string | null;
  /** Failures that persist, in plain words. */
  problems(): string[];
  /** What the schedule did not get to. */
  notices(): string[];
  stop(): Promise<void>;
}

/** So long other nodes wait at most for the first one to find out whether a model is any good. */
const TRIAL_MS = 30_000;

interface UnderWay {
  job: BenchmarkJob;
  startedMs: number;
  done: Promise<void>;
  gone: AbortController;
}

/**
 * Measures what is missing, stale, too old, or asked for by the schedule: one job at a time on a host,
 * so that no two benchmarks disturb each other. A failed job waits longer each time.
 */
export function startBenchmarks(limits: BenchmarkLimits, deps: BenchmarkDeps): Benchmarks {
  return new BenchmarkLoop(limits, deps);
}

class BenchmarkLoop implements Benchmarks {
  readonly #limits: BenchmarkLimits;
  readonly #deps: BenchmarkDeps;
  readonly #attempts: Attempts;
  readonly #stop = new AbortController();
  readonly #running = new Map<string, UnderWay>();
  readonly #looping: Promise<void>;
  #wake = new AbortController();
  #lastOutcome: string | null = null;

  constructor(limits: BenchmarkLimits, deps: BenchmarkDeps) {
    this.#limits = limits;
    this.#deps = deps;
    this.#attempts = new Attempts(limits, deps);
    this.#looping = this.#loop();
  }

  request(): void {
    this.#wake.abort();
  }

  refreshAll(askedBy: "schedule" | "operator"): void {
    this.#deps.refresh.open();
    if (askedBy === "operator") this.#attempts.clear();
    else this.#attempts.clearFailures();
    this.#wake.abort();
  }

  running(): string | null {
    const names = [...this.#running.values()].map(({ job }) => jobName(job));
    return names.length === 0 ? null : names.join(", ");
  }

  isRunning(modelSha256: string, node: string): boolean {
    return this.#running.has(`${modelSha256} ${node}`);
  }

  lastOutcome(): string | null {
    return this.#lastOutcome;
  }

  problems(): string[] {
    return this.#attempts.problems();
  }

  notices(): string[] {
    return this.#deps.refresh.notices();
  }

  stop(): Promise<void> {
    this.#stop.abort();
    this.#wake.abort();
    return this.#looping;
  }

  async #loop(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      this.#pass();
      await this.#deps.clock.sleep(this.#limits.resyncMs, this.#wake.signal);
    }
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  #pass(): void {
    const { refresh } = this.#deps;
    const attempts = this.#attempts;
    const wanted = this.#deps.wanted();
    attempts.forgetOthers(wanted);
    giveUpOthers(this.#running, wanted, this.#deps);
    const toRefresh = wanted.filter((job) => !attempts.isNeeded(job) && !this.#isRefreshed(job));
    const isBusy = wanted.some((job) => this.#running.has(jobKey(job)) && !this.#isRefreshed(job));
    refresh.look(toRefresh.map(jobName), isBusy);
    // A model that fails again and again must not keep others from their first benchmark.
    const needed = wanted.filter((job) => attempts.isNeeded(job));
    needed.sort((a, b) => attempts.failuresOf(a) - attempts.failuresOf(b));
    for (const job of needed)
      if (this.#mayStart(job)) this.#start(job, [], Number.POSITIVE_INFINITY);
    // So that a run which ends early goes on with the others the next time.
    toRefresh.sort((a, b) => attempts.renewedAt(a) - attempts.renewedAt(b));
    for (const job of refresh.isOpen() ? toRefresh : []) {
      if (this.#mayStart(job)) this.#start(job, [refresh.signal()], refresh.timeLeftMs());
    }
  }

  #mayStart(job: BenchmarkJob): boolean {
    const attempts = this.#attempts;
    return (
      this.#running.size < this.#limits.hostsMax &&
      !this.#running.has(jobKey(job)) &&
      this.#deps.turns.isFree(job.host) &&
      attempts.mayBegin(job) &&
      !isOnTrial(job, this.#running, { ...this.#deps, attempts })
    );
  }

  #isRefreshed(job: BenchmarkJob): boolean {
    return this.#attempts.renewedAt(job) >= this.#deps.refresh.beforeMs();
  }

  #start(job: BenchmarkJob, ends: AbortSignal[], timeLeftMs: number): void {
    const deps = this.#deps;
    const gone = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, gone.signal, ...ends]);
    const mayLook = deps.profileOf(job) !== undefined && deps.staleIn(job) === undefined;
    const allowed = { signal, mayLook, timeLeftMs };
    const done = run(job, allowed, { ...deps, attempts: this.#attempts }).then((outcome) => {
      this.#lastOutcome = `${jobName(job)}: ${outcome}`;
      this.#running.delete(jobKey(job));
      this.#wake.abort();
    });
    this.#running.set(jobKey(job), { job, startedMs: deps.clock.monotonicMs(), done, gone });
  }
}

/** Whether another node is about to find out if the model, which nobody has measured yet, can be. */
function isOnTrial(
  job: BenchmarkJob,
  running: ReadonlyMap<string, UnderWay>,
  { attempts, hasRun, clock }: Pick<BenchmarkDeps, "hasRun" | "clock"> & { attempts: Attempts },
): boolean {
  const nowMs = clock.monotonicMs();
  return [...running.values()].some(
    (one) =>
      nowMs - one.startedMs < TRIAL_MS &&
      !hasRun(one.job) &&
      attempts.areAlike(one.job, job) &&
      !attempts.isProven(job),
  );
}

function giveUpOthers(
  running: ReadonlyMap<string, UnderWay>,
  wanted: readonly BenchmarkJob[],
  { isOnline }: Pick<BenchmarkDeps, "isOnline">,
): void {
  for (const [key, { job, gone }] of running) {
    if (wanted.some((one) => jobKey(one) === key)) continue;
    const { node } = job;
    gone.abort(
      isOnline(node)
        ? new AppError("ABORTED", "it is wanted no longer")
        : new AppError("NODE_LOST", `${node} has gone`),
    );
  }
}

/** Does one job and counts it; resolves with what came of it, in plain words. */
async function run(
  job: BenchmarkJob,
  allowed: MeasureLimits,
  deps: BenchmarkDeps & { attempts: Attempts },
): Promise<string> {
  const { attempts, clock, turns, staleIn, onFinished } = deps;
  const log = deps.log.child({ model: job.model.name, node: job.node });
  const { signal } = allowed;
  const startedMs = clock.monotonicMs();
  const measuredIn = staleIn(job);
  const finish = (result: BenchmarkResult): void =>
    onFinished(job, { elapsedMs: clock.monotonicMs() - startedMs, result });
  try {
    const outcome = await turns.run(job.host, () => deps.measure(job, allowed), signal);
    log.info({ outcome }, "benchmark done");
    attempts.succeeded(job, measuredIn);
    finish("ok");
    return outcome;
  } catch (error) {
    const ended: unknown = signal.aborted ? signal.reason : error;
    if (isAppError(ended, "NODE_LOST")) {
      attempts.cutShort(job);
      log.warn({ err: ended }, "benchmark ended");
      finish("lost");
      return `given up: ${ended.message}`;
    }
    // Given up, by us or for want of time; what was measured is kept for the next time.
    if (signal.aborted || isAppError(error, "ABORTED")) {
      const why: unknown = signal.reason;
      const outcome = isAppError(why) ? `given up: ${why.message}` : "given up";
      log.info({ outcome }, "benchmark ended");
      finish("given_up");
      return outcome;
    }
    const pauseMs = attempts.failed(job, error);
    log.warn({ pauseMs, err: error }, "benchmark failed");
    finish("failed");
    return "failed";
  }
}
