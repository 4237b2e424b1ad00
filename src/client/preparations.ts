import { errorMessage } from "../core/index.js";
import type { ClientMessage, PlanDocument } from "../protocol/index.js";

/** What a runtime does ahead of and after a switch. Plans are told apart by epoch and revision. */
export interface RuntimeHooks {
  /**
   * Load this node's part of the plan beside what is in force, and resolve when it could be used at
   * once. A rejection refuses the plan with the error's message. `signal` ends it when nobody waits.
   */
  prepare?(plan: PlanDocument, signal: AbortSignal): Promise<void> | void;
  /** A prepared plan will never be in force: forget it. */
  abort?(plan: PlanDocument): void;
  /** This plan is in force everywhere: forget all older ones of its pipeline. */
  retire?(plan: PlanDocument): void;
}

interface Preparation {
  readonly plan: PlanDocument;
  readonly stop: AbortController;
  isReady: boolean;
}

const REASON_CHARACTERS_MAX = 1_000;

/** The plans that were prepared and are not in force yet, at most one of each pipeline. */
export class Preparations {
  readonly #hooks: RuntimeHooks;
  readonly #byPipeline = new Map<string, Preparation>();

  constructor(hooks: RuntimeHooks) {
    this.#hooks = hooks;
  }

  /** Prepares a plan and answers when that is done, unless it was given up meanwhile. */
  begin(plan: PlanDocument, nonce: string, send: (message: ClientMessage) => void): void {
    const older = this.#byPipeline.get(plan.pipeline);
    if (older !== undefined) this.#giveUp(older);
    const preparation: Preparation = { plan, stop: new AbortController(), isReady: false };
    this.#byPipeline.set(plan.pipeline, preparation);
    void this.#run(preparation).then((failure) => {
      if (preparation.stop.signal.aborted) return;
      if (failure === undefined) {
        preparation.isReady = true;
        send({ type: "ready", nonce });
        return;
      }
      this.#byPipeline.delete(plan.pipeline);
      send({ type: "reject", nonce, reason: failure.slice(0, REASON_CHARACTERS_MAX) });
    });
  }

  async #run({ plan, stop }: Preparation): Promise<string | undefined> {
    try {
      await this.#hooks.prepare?.(plan, stop.signal);
      return undefined;
    } catch (error) {
      return errorMessage(error);
    }
  }

  /** The prepared plan of this revision, which comes into force now; undefined where there is none. */
  take(pipeline: string, revision: number): PlanDocument | undefined {
    const preparation = this.#byPipeline.get(pipeline);
    if (preparation?.plan.revision !== revision) return undefined;
    this.#byPipeline.delete(pipeline);
    return preparation.plan;
  }

  abort(pipeline: string, revision: number): void {
    const preparation = this.#byPipeline.get(pipeline);
    if (preparation?.plan.revision === revision) this.#giveUp(preparation);
  }

  /**
   * A new connection: what is loaded is kept until the daemon says what becomes of it; what is still
   * being loaded is given up, as its answer would come too late. Returns what is kept, of this epoch.
   */
  reconnect(epoch: string | undefined): Record<string, number> {
    for (const preparation of this.#byPipeline.values()) {
      const isKept = preparation.isReady && preparation.plan.epoch === epoch;
      if (!isKept) this.#giveUp(preparation);
    }
    return Object.fromEntries(
      [...this.#byPipeline].map(([name, { plan }]) => [name, plan.revision]),
    );
  }

  /** A snapshot came: a plan in it that was prepared is prepared no longer, but in force. */
  reconcile(epoch: string, revisions: Readonly<Record<string, number>>): void {
    for (const [pipeline, preparation] of this.#byPipeline) {
      if (preparation.plan.epoch !== epoch) this.#giveUp(preparation);
      else if (preparation.plan.revision === revisions[pipeline]) this.#byPipeline.delete(pipeline);
    }
  }

  /** The subscription ends. */
  stop(): void {
    for (const { stop } of this.#byPipeline.values()) stop.abort();
  }

  /** This plan is in force everywhere: nothing older is needed. */
  retire(plan: PlanDocument): void {
    const older = this.#byPipeline.get(plan.pipeline);
    if (older !== undefined && older.plan.revision < plan.revision) this.#giveUp(older);
    this.#hooks.retire?.(plan);
  }

  #giveUp(preparation: Preparation): void {
    this.#byPipeline.delete(preparation.plan.pipeline);
    preparation.stop.abort();
    this.#hooks.abort?.(preparation.plan);
  }
}
