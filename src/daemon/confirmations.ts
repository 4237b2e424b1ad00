import {
  AppError,
  type Clock,
  type ErrorCode,
  errorMessage,
  isAppError,
  type Logger,
} from "../core/index.js";
import type { MeasureAnswer } from "../protocol/index.js";
import type { LayerRange } from "./artifacts.js";
import type { ModelFile } from "./models.js";

/** Partitions of one model to be measured on one node. */
export interface ConfirmJob {
  model: ModelFile;
  node: string;
  ranges: readonly LayerRange[];
}

/**
 * `unable`: the node cannot measure at present, which says nothing against its partitions. `failed`: they
 * did not run, or what it said makes no sense; they are not to be trusted.
 */
export type Standing = { kind: "open" } | { kind: "unable" | "failed"; reason: string };

export interface ConfirmDeps {
  /** Measures, and remembers it. Rejects where the node could not be asked or cannot measure. */
  measure: (job: ConfirmJob, signal: AbortSignal) => Promise<MeasureAnswer>;
  /** Something is known that was not before. */
  onChanged: () => void;
  timeoutMs: () => number;
  clock: Clock;
  log: Logger;
}

interface Trouble {
  standing: Standing;
  failures: number;
  notBeforeMs: number;
  /** Since when it has been busy whenever it was asked. */
  busySinceMs: number | undefined;
}

interface UnderWay {
  job: ConfirmJob;
  done: Promise<void>;
  lost: AbortController;
}

/** What may be the partition's own doing: it takes too long, or takes the whole node down. */
const FAULTS: ReadonlySet<ErrorCode> = new Set(["COMMAND_TIMEOUT", "NODE_LOST"]);

const RETRY_MS = 10_000;
const RETRY_MS_MAX = 3_600_000;
const BUSY_PAUSE_MS = 1_000;
const TROUBLES_MAX = 10_000;

/**
 * Measures partitions beside the loop that plans: one job at a time on a node, newest wish first. What
 * fails is asked again after a pause that doubles.
 */
export class Confirmations {
  readonly #deps: ConfirmDeps;
  readonly #stop = new AbortController();
  readonly #wanted = new Map<string, readonly ConfirmJob[]>();
  readonly #running = new Map<string, UnderWay>();
  readonly #troubles = new Map<string, Trouble>();

  constructor(deps: ConfirmDeps) {
    this.#deps = deps;
  }

  /** What is to be measured for this pipeline from now on, in place of what was. */
  want(pipeline: string, jobs: readonly ConfirmJob[]): void {
    this.#wanted.delete(pipeline);
    if (jobs.length > 0) this.#wanted.set(pipeline, jobs);
    this.#pump();
  }

  standing(modelSha256: string, node: string): Standing {
    const trouble = this.#troubles.get(keyOf(modelSha256, node));
    const isOver = trouble === undefined || this.#deps.clock.monotonicMs() >= trouble.notBeforeMs;
    return isOver ? { kind: "open" } : trouble.standing;
  }

  /** The node went offline: what it measured comes to nothing. */
  nodeLost(node: string): void {
    const error = new AppError("NODE_LOST", `${node} has gone while it measured`);
    this.#running.get(node)?.lost.abort(error);
  }

  /** Those that measure at present. */
  nodes(): string[] {
    return [...this.#running.keys()];
  }

  /** "layers 0–22 of mobilenet on cam-1"; undefined where nothing is measured. */
  running(): string | undefined {
    const jobs = [...this.#running.values()].map(({ job }) => describeJob(job));
    return jobs.length === 0 ? undefined : jobs.join("; ");
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#wanted.clear();
    await Promise.allSettled([...this.#running.values()].map(({ done }) => done));
  }

  #pump(): void {
    if (this.#stop.signal.aborted) return;
    for (const job of [...this.#wanted.values()].reverse().flat()) {
      const trouble = this.#troubles.get(keyOf(job.model.sha256, job.node));
      const isPausing = this.#deps.clock.monotonicMs() < (trouble?.notBeforeMs ?? 0);
      if (this.#running.has(job.node) || isPausing) continue;
      const lost = new AbortController();
      const done = this.#run(job, lost.signal).finally(() => {
        this.#running.delete(job.node);
        this.#deps.onChanged();
        this.#pump();
      });
      this.#running.set(job.node, { job, done, lost });
    }
  }

  async #run(job: ConfirmJob, lost: AbortSignal): Promise<void> {
    try {
      const signal = AbortSignal.any([this.#stop.signal, lost]);
      const answer = await this.#deps.measure(job, signal);
      if (answer.kind === "busy") this.#noteBusy(job);
      else if (answer.kind === "failed") this.#noteTrouble(job, "failed", answer.reason);
      else this.#troubles.delete(keyOf(job.model.sha256, job.node));
    } catch (thrown) {
      if (this.#stop.signal.aborted) return;
      const error: unknown = lost.aborted ? lost.reason : thrown;
      const kind = isAppError(error) && FAULTS.has(error.code) ? "failed" : "unable";
      this.#noteTrouble(job, kind, errorMessage(error));
    } finally {
      // The pass that comes wants it anew, where it is still to be measured.
      for (const [pipeline, jobs] of this.#wanted) {
        const others = jobs.filter((each) => !isSameTarget(each, job));
        this.#wanted.set(pipeline, others);
      }
    }
  }

  #noteBusy(job: ConfirmJob): void {
    const key = keyOf(job.model.sha256, job.node);
    const nowMs = this.#deps.clock.monotonicMs();
    const busySinceMs = this.#troubles.get(key)?.busySinceMs ?? nowMs;
    // A decision that waits for this must not give up first.
    if (nowMs - busySinceMs >= this.#deps.timeoutMs() / 2) {
      this.#noteTrouble(job, "unable", `${job.node} is busy with another measurement`);
      return;
    }
    const notBeforeMs = nowMs + BUSY_PAUSE_MS;
    this.#troubles.set(key, { standing: { kind: "open" }, failures: 0, notBeforeMs, busySinceMs });
  }

  #noteTrouble(job: ConfirmJob, kind: "unable" | "failed", reason: string): void {
    const { clock, log } = this.#deps;
    const key = keyOf(job.model.sha256, job.node);
    const failures = (this.#troubles.get(key)?.failures ?? 0) + 1;
    const pauseMs = Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MS_MAX);
    const notBeforeMs = clock.monotonicMs() + pauseMs;
    const [oldest] = this.#troubles.keys();
    if (this.#troubles.size >= TROUBLES_MAX && oldest !== undefined) this.#troubles.delete(oldest);
    const standing: Standing = { kind, reason };
    this.#troubles.set(key, { standing, failures, notBeforeMs, busySinceMs: undefined });
    log.warn({ model: job.model.name, node: job.node, reason, pauseMs }, "not confirmed");
  }
}

/** "layers 0–22 of mobilenet on cam-1". */
function describeJob({ model, node, ranges }: ConfirmJob): string {
  const layers = ranges.map(({ firstLayer, lastLayer }) => `${firstLayer}–${lastLayer}`);
  return `layers ${layers.join(", ")} of ${model.name} on ${node}`;
}

function isSameTarget(one: ConfirmJob, other: ConfirmJob): boolean {
  return (
    one.node === other.node &&
    one.model.sha256 === other.model.sha256 &&
    JSON.stringify(one.ranges) === JSON.stringify(other.ranges)
  );
}

function keyOf(modelSha256: string, node: string): string {
  return `${modelSha256} ${node}`;
}
