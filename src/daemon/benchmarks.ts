import { type Clock, errorMessage, isAppError, type Logger } from "../core/index.js";
import type { Profile } from "../protocol/index.js";
import type { ModelFile } from "./models.js";

/** A model to be measured on a node. */
export interface BenchmarkJob {
  model: ModelFile;
  node: string;
}

export interface BenchmarkLimits {
  /** A profile older than this is measured again. */
  maxProfileAgeMs: number;
  /** First pause after a failure; doubles up to `retryMsMax`. */
  retryMs: number;
  retryMsMax: number;
  /** The loop looks for due work at least this often. */
  resyncMs: number;
}

export interface BenchmarkDeps {
  /** Every model with every node that may run it, at this moment. */
  wanted: () => readonly BenchmarkJob[];
  profileOf: (job: BenchmarkJob) => Profile | undefined;
  /** Measures and records the profile; rejects when that failed. */
  measure: (job: BenchmarkJob, signal: AbortSignal) => Promise<void>;
  onFinished: (job: BenchmarkJob, outcome: { elapsedMs: number; ok: boolean }) => void;
  clock: Clock;
  log: Logger;
}

export interface Benchmarks {
  /** There may be new work: look soon. */
  request(): void;
  /** Measure everything that is wanted, however fresh its profile. The schedule calls this. */
  refreshAll(): void;
  /** "mobilenet on gpu-1", or null. */
  running(): string | null;
  /** Failures that persist, in plain words. */
  problems(): string[];
  stop(): Promise<void>;
}

interface Attempt {
  failures: number;
  notBeforeMs: number;
  problem: string | undefined;
}

/** A profile that was just measured may still be on its way here. */
const ARRIVAL_MS = 30_000;

/**
 * Measures what is missing, too old, or asked for by the schedule: one job at a time, so that no two
 * benchmarks disturb each other on a shared host. A failed job waits longer each time.
 */
export function startBenchmarks(limits: BenchmarkLimits, deps: BenchmarkDeps): Benchmarks {
  const stop = new AbortController();
  const attempts = new Map<string, Attempt>();
  /** Profiles measured before this wall time are to be replaced. */
  let refreshBeforeMs = 0;
  let wake = new AbortController();
  let current: BenchmarkJob | null = null;

  const isDue = (job: BenchmarkJob): boolean => {
    const attempt = attempts.get(jobKey(job));
    if (attempt !== undefined && deps.clock.monotonicMs() < attempt.notBeforeMs) return false;
    const measuredAt = deps.profileOf(job)?.measuredAt;
    if (measuredAt === undefined) return true;
    return measuredAt < refreshBeforeMs || deps.clock.nowMs() - measuredAt > limits.maxProfileAgeMs;
  };

  const run = async (job: BenchmarkJob): Promise<void> => {
    const key = jobKey(job);
    const startedMs = deps.clock.monotonicMs();
    let ok = true;
    try {
      await deps.measure(job, stop.signal);
      const notBeforeMs = deps.clock.monotonicMs() + ARRIVAL_MS;
      attempts.set(key, { failures: 0, notBeforeMs, problem: undefined });
    } catch (error) {
      ok = false;
      if (isAppError(error, "ABORTED")) return;
      const failures = (attempts.get(key)?.failures ?? 0) + 1;
      const pauseMs = Math.min(limits.retryMs * 2 ** (failures - 1), limits.retryMsMax);
      const problem = `benchmark of ${jobName(job)}: ${errorMessage(error)}`;
      attempts.set(key, { failures, notBeforeMs: deps.clock.monotonicMs() + pauseMs, problem });
      deps.log.warn(
        { model: job.model.name, node: job.node, pauseMs, err: error },
        "benchmark failed",
      );
    } finally {
      deps.onFinished(job, { elapsedMs: deps.clock.monotonicMs() - startedMs, ok });
    }
  };

  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      wake = new AbortController();
      const wanted = deps.wanted();
      forgetOthers(attempts, wanted);
      const due = wanted.find(isDue);
      if (due === undefined) {
        await deps.clock.sleep(limits.resyncMs, wake.signal);
        continue;
      }
      current = due;
      await run(due);
      current = null;
    }
  };
  const looping = loop();

  return {
    request: () => wake.abort(),
    refreshAll: () => {
      refreshBeforeMs = deps.clock.nowMs();
      attempts.clear();
      wake.abort();
    },
    running: () => (current === null ? null : jobName(current)),
    problems: () => [...attempts.values()].flatMap((attempt) => attempt.problem ?? []),
    stop: () => {
      stop.abort();
      wake.abort();
      return looping;
    },
  };
}

/** A node that left and came back starts without its old failures. */
function forgetOthers(attempts: Map<string, Attempt>, wanted: readonly BenchmarkJob[]): void {
  const keys = new Set(wanted.map(jobKey));
  for (const key of attempts.keys()) if (!keys.has(key)) attempts.delete(key);
}

function jobKey(job: BenchmarkJob): string {
  return `${job.model.sha256} ${job.node}`;
}

function jobName(job: BenchmarkJob): string {
  return `${job.model.name} on ${job.node}`;
}
