import type { PlanDocument, Trigger } from "../protocol/index.js";
import type { RolloutFailure } from "../publisher/index.js";

const REJECTED_MS = 300_000;
/** A runtime that comes back at once may die again at once, so that its return ends nothing here. */
const MISSING_MS = 60_000;

/** Layers that a node's runtime could not take up, kept out of its plans for a while. */
export interface Bar {
  readonly modelSha256: string;
  /** Of the plan that showed it. */
  readonly pipeline: string;
  readonly revision: number;
  readonly node: string;
  readonly firstLayer: number;
  readonly lastLayer: number;
  /** "gpu-1 rejected layers 3–9 (no memory)". */
  readonly subject: string;
  /** Monotonic. */
  readonly untilMs: number;
  /** It rejected them, and may think otherwise when it subscribes anew. */
  readonly isRejection: boolean;
}

/** What rollouts taught: partitions that nodes refused or did not answer about. */
export class Bars {
  #bars: readonly Bar[] = [];

  /** Bars what this plan wanted to run on the node that failed. */
  add(plan: PlanDocument, failure: RolloutFailure, nowMs: number): void {
    const isRejection = failure.cause === "rejected";
    for (const { node, firstLayer, lastLayer } of plan.partitions) {
      if (node !== failure.node) continue;
      const verb = isRejection ? "rejected" : "did not take up";
      this.#bars = [
        ...this.#bars,
        {
          modelSha256: plan.model.sha256,
          pipeline: plan.pipeline,
          revision: plan.revision,
          node,
          firstLayer,
          lastLayer,
          subject: `${node} ${verb} layers ${firstLayer}–${lastLayer} (${failure.reason})`,
          untilMs: nowMs + (isRejection ? REJECTED_MS : MISSING_MS),
          isRejection,
        },
      ];
    }
  }

  /** The runtime of this node has subscribed anew. */
  runtimeSubscribed(node: string): void {
    this.#bars = this.#bars.filter((bar) => bar.node !== node || !bar.isRejection);
  }

  /**
   * Bars in force for plans of this model, beside the plan in force: what that one runs well already
   * is not barred, whatever else failed.
   */
  of(modelSha256: string, inForce: PlanDocument | null, nowMs: number): readonly Bar[] {
    this.#bars = this.#bars.filter((bar) => bar.untilMs > nowMs);
    return this.#bars.filter((bar) => {
      if (bar.modelSha256 !== modelSha256) return false;
      if (inForce === null || inForce.model.sha256 !== modelSha256) return true;
      const isItsOwn = bar.pipeline === inForce.pipeline && bar.revision === inForce.revision;
      return isItsOwn || !isBarred([bar], inForce.partitions);
    });
  }
}

/**
 * What changed since a plan was judged, as reasons to judge it anew. One of the bars `since` came
 * after that; where it is gone already, before anything was decided, that counts all the same.
 */
export function barTriggers(
  before: readonly Bar[],
  since: readonly Bar[],
  after: readonly Bar[],
): Trigger[] {
  const come = after.filter((bar) => !before.includes(bar));
  const gone = [...new Set([...before, ...since])].filter((bar) => !after.includes(bar));
  return [
    ...come.map((bar) => rolloutTrigger(bar.subject)),
    ...gone.map((bar) =>
      rolloutTrigger(`${bar.node} may run layers ${bar.firstLayer}–${bar.lastLayer} again`),
    ),
  ];
}

export function rolloutTrigger(subject: string): Trigger {
  return { kind: "rollout", subject, before: null, after: null, unit: "" };
}

/** Whether one of these partitions is barred. */
export function isBarred(
  bars: readonly Bar[],
  partitions: readonly { node: string; firstLayer: number; lastLayer: number }[],
): boolean {
  return partitions.some((partition) =>
    bars.some(
      (bar) =>
        bar.node === partition.node &&
        bar.firstLayer === partition.firstLayer &&
        bar.lastLayer === partition.lastLayer,
    ),
  );
}
