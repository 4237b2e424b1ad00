import { errorMessage } from "../core/index.js";
import { withPipeline } from "../store/index.js";
import { confirmedSituation } from "./confirmed-situation.js";
import { judge } from "./judge.js";
import type { JudgeDeps } from "./judge-deps.js";
import { Pace } from "./pace.js";
import { newTrack, type Track } from "./track.js";
import { type Pipeline, situationOf } from "./problem.js";

export interface ReconcileOptions {
  /** The loop looks at everything again after this long, so that a lost event heals. */
  resyncMs: number;
  /** After a restart, how long to wait for the nodes of the plan in force before judging it. */
  restartGraceMs: number;
  /** Pause after a publication that failed. */
  retryMs: number;
  /** A pass that takes longer is stuck: sub-models of one plan are extracted well within this. */
  passTimeoutMs: number;
}

export interface ReconcileDeps extends JudgeDeps {
  /** Pipelines as they are configured and matched at this moment. */
  pipelines: () => readonly Pipeline[];
  /** Names of others that are configured and cannot be planned now; their plans stay. */
  waiting: () => readonly string[];
}

export interface Reconciler {
  /** Something changed: look again soon. */
  request(): void;
  /** Judge this pipeline anew, as after a start. */
  forget(pipeline: string): void;
  /** What keeps pipelines from being planned, in plain words. */
  problems(): string[];
  /** False when a pass has been under way for longer than any should take. */
  isProgressing(): boolean;
  stop(): Promise<void>;
}

/**
 * The one loop that plans and publishes. Events only wake it; runs never overlap; state in memory
 * changes only after the store has the new one.
 */
export function startReconciler(options: ReconcileOptions, deps: ReconcileDeps): Reconciler {
  return new ReconcileLoop(options, deps);
}

class ReconcileLoop implements Reconciler {
  readonly #options: ReconcileOptions;
  readonly #deps: ReconcileDeps;
  readonly #stop = new AbortController();
  readonly #tracks = new Map<string, Track>();
  readonly #startedAtMs: number;
  readonly #looping: Promise<void>;
  #wake = new AbortController();
  #passStartedMs: number | undefined;

  constructor(options: ReconcileOptions, deps: ReconcileDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#startedAtMs = deps.clock.monotonicMs();
    this.#looping = this.#loop();
  }

  request(): void {
    // With a reason of its own: the one made where none is given costs a stack trace at each sample.
    this.#wake.abort("requested");
  }

  forget(pipeline: string): void {
    this.#tracks.delete(pipeline);
  }

  problems(): string[] {
    return [...this.#tracks.values()].flatMap((track) => track.problem ?? []);
  }

  isProgressing(): boolean {
    const sinceMs = this.#passStartedMs;
    return (
      sinceMs === undefined ||
      this.#deps.clock.monotonicMs() - sinceMs < this.#options.passTimeoutMs
    );
  }

  stop(): Promise<void> {
    this.#stop.abort();
    this.#wake.abort();
    return this.#looping;
  }

  async #loop(): Promise<void> {
    const { clock, log } = this.#deps;
    const pace = new Pace(clock.monotonicMs());
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController();
      const startedMs = clock.monotonicMs();
      this.#passStartedMs = startedMs;
      try {
        await this.#pass();
      } catch (error) {
        log.error({ err: error }, "reconcile pass failed, will retry");
      }
      this.#passStartedMs = undefined;
      const pauseMs = pace.afterPass(startedMs, clock.monotonicMs());
      if (pauseMs > 0) await clock.sleep(pauseMs, this.#stop.signal);
      await clock.sleep(this.#options.resyncMs, this.#wake.signal);
    }
  }

  async #pass(): Promise<void> {
    const { clock } = this.#deps;
    const pipelines = this.#deps.pipelines();
    await withdrawMissing(pipelines, this.#deps);
    assignPlansInForce(pipelines, this.#deps);
    for (const pipeline of pipelines) {
      if (this.#stop.signal.aborted) return;
      const track = this.#trackOf(pipeline.name);
      if (clock.monotonicMs() >= track.retryAtMs) await this.#judge(pipeline, track);
    }
    const names = new Set(pipelines.map((pipeline) => pipeline.name));
    for (const name of this.#tracks.keys()) if (!names.has(name)) this.#tracks.delete(name);
  }

  /** What fails is looked at again after a pause, and keeps no other pipeline from its turn. */
  async #judge(pipeline: Pipeline, track: Track): Promise<void> {
    const deps = this.#deps;
    const { restartGraceMs, retryMs } = this.#options;
    const { watch } = track;
    const isSettling = deps.clock.monotonicMs() - this.#startedAtMs < restartGraceMs;
    try {
      await judge(pipeline, track, { isSettling, deps });
    } catch (error) {
      track.problem = `pipeline ${pipeline.name}: ${errorMessage(error)}`;
      // As if nothing had been looked at, so that the same triggers fire again.
      track.watch = watch;
      track.retryAtMs = deps.clock.monotonicMs() + retryMs;
      deps.log.error({ pipeline: pipeline.name, err: error }, "planning failed, will retry");
    }
  }

  #trackOf(name: string): Track {
    let track = this.#tracks.get(name);
    if (track === undefined) {
      track = newTrack();
      this.#tracks.set(name, track);
    }
    return track;
  }
}

/** Nodes are as busy as the plans in force make them, also those of pipelines that are judged later. */
function assignPlansInForce(pipelines: readonly Pipeline[], deps: ReconcileDeps): void {
  const { loads, rollouts, store, context } = deps;
  loads.keepOnly(new Set(pipelines.map(({ name }) => name)));
  for (const pipeline of pipelines) {
    const plan = store.state.pipelines.find(({ name }) => name === pipeline.name)?.plan ?? null;
    if (rollouts.isUnderWay(pipeline.name)) continue;
    if (plan === null) {
      // A plan that came to nothing keeps nothing busy.
      loads.release(pipeline.name);
      continue;
    }
    if (loads.revisionOf(pipeline.name) === plan.revision) continue;
    const situation = situationOf(pipeline, context);
    if ("missing" in situation) continue;
    loads.assign(pipeline, plan, confirmedSituation(situation, pipeline, deps).idle);
  }
}

/** A pipeline that is configured no longer loses its plan, never its revision. */
async function withdrawMissing(pipelines: readonly Pipeline[], deps: ReconcileDeps): Promise<void> {
  const names = new Set([...pipelines.map((pipeline) => pipeline.name), ...deps.waiting()]);
  for (const stored of deps.store.state.pipelines) {
    if (names.has(stored.name)) continue;
    deps.rollouts.cancel(stored.name, "the pipeline is configured no longer");
    // Switching runtimes are let finish; the next pass comes back to it.
    if (stored.plan === null || deps.rollouts.isUnderWay(stored.name)) continue;
    await deps.store.update((state) =>
      withPipeline(state, { name: stored.name, revision: stored.revision, plan: null }),
    );
    deps.onPublished(stored.name);
    deps.log.info({ pipeline: stored.name }, "pipeline withdrawn");
  }
}
