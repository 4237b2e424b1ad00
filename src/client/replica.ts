import type { PlanDocument, ServerMessage } from "../protocol/index.js";

type Plans = ReadonlyMap<string, PlanDocument>;

/** One step from what the consumer has to what the daemon says. `plans` is the state after it. */
export type Change = { epoch: string; plans: Plans } & (
  | {
      kind: "snapshot";
      changed: readonly PlanDocument[];
      /** Pipelines that exist no more, or that this subscriber may no longer have. */
      removed: readonly string[];
    }
  | { kind: "update"; plan: PlanDocument }
  | { kind: "removed"; pipeline: string }
);

/** `change` is undefined where a frame turned out to change nothing; it is answered all the same. */
export interface Delivery {
  readonly nonce: string;
  /** How to say that the change is in force. */
  readonly answer: "ack" | "active";
  readonly change: Change | undefined;
}

export type ReplicaMessage = Extract<ServerMessage, { type: "snapshot" | "update" | "removed" }>;

/** More pipelines than this come from no honest daemon. */
const PIPELINES_MAX = 10_000;

/**
 * What one subscriber knows. Changes that are overtaken before the consumer asks for them are dropped:
 * it holds the newest plan of each pipeline and the names of those that changed, never a queue of plans.
 */
export class Replica {
  /** What the consumer has taken. */
  #held: Plans;
  /** What was offered to the daemon as `have` on this connection. */
  #offered: Plans = new Map();
  #newest = new Map<string, PlanDocument>();
  /** Undefined until the first snapshot of this connection. */
  #epoch: string | undefined;
  #snapshotNonce: string | undefined;
  /** Pipelines that changed since the consumer was told, oldest first, with how to answer the newest frame. */
  readonly #changed = new Map<string, Pick<Delivery, "nonce" | "answer">>();
  #synced = false;

  constructor(have: readonly PlanDocument[]) {
    this.#held = new Map(have.map((plan) => [plan.pipeline, plan]));
  }

  /** A new connection: returns what to send as `have`. Frames of the old connection can no longer be answered. */
  reconnect(): { epoch: string; revisions: Record<string, number> } | undefined {
    this.#epoch = undefined;
    this.#snapshotNonce = undefined;
    this.#changed.clear();
    const epoch = [...this.#held.values()][0]?.epoch;
    const known = [...this.#held].filter(([, plan]) => plan.epoch === epoch);
    this.#offered = new Map(known);
    if (epoch === undefined) return undefined;
    const revisions = Object.fromEntries(known.map(([name, plan]) => [name, plan.revision]));
    return { epoch, revisions };
  }

  /** Undefined until the first snapshot of this connection. */
  get epoch(): string | undefined {
    return this.#epoch;
  }

  /** Takes a message in. Returns what is wrong with it; undefined where nothing is. */
  receive(message: ReplicaMessage): string | undefined {
    switch (message.type) {
      case "snapshot":
        return this.#receiveSnapshot(message);
      case "update":
        return this.putInForce(message.plan, { nonce: message.nonce, answer: "ack" });
      case "removed":
        if (message.epoch !== this.#epoch) return "a removal in another epoch than the snapshot's";
        if (this.#changed.size >= PIPELINES_MAX) return "more pipelines than can be";
        this.#newest.delete(message.pipeline);
        this.#changed.set(message.pipeline, { nonce: message.nonce, answer: "ack" });
        return undefined;
    }
  }

  /** A plan that was sent just now, or prepared before. Returns what is wrong with it. */
  putInForce(plan: PlanDocument, how: Pick<Delivery, "nonce" | "answer">): string | undefined {
    if (plan.epoch !== this.#epoch) return "a plan of another epoch than the snapshot's";
    if (this.#newest.size >= PIPELINES_MAX) return "more pipelines than can be";
    this.#newest.set(plan.pipeline, plan);
    this.#changed.set(plan.pipeline, how);
    return undefined;
  }

  /** The plan that the consumer has taken. */
  held(pipeline: string): PlanDocument | undefined {
    return this.#held.get(pipeline);
  }

  #receiveSnapshot(message: ServerMessage & { type: "snapshot" }): string | undefined {
    const sent = new Map(message.plans.map((plan) => [plan.pipeline, plan]));
    const newest = new Map<string, PlanDocument>();
    for (const [pipeline, revision] of Object.entries(message.revisions)) {
      const plan = sent.get(pipeline) ?? this.#offered.get(pipeline);
      if (plan?.revision !== revision || plan.epoch !== message.epoch) {
        return `the snapshot names revision ${revision} of ${pipeline} without its plan`;
      }
      newest.set(pipeline, plan);
    }
    this.#epoch = message.epoch;
    this.#newest = newest;
    this.#snapshotNonce = message.nonce;
    this.#changed.clear();
    return undefined;
  }

  /** The next thing to tell the consumer; undefined when it is up to date. */
  take(): Delivery | undefined {
    if (this.#epoch === undefined) return undefined;
    if (this.#snapshotNonce !== undefined) {
      const nonce = this.#snapshotNonce;
      this.#snapshotNonce = undefined;
      this.#changed.clear();
      return { nonce, answer: "ack", change: this.#snapshotChange(this.#epoch) };
    }
    for (const [pipeline, how] of this.#changed) {
      this.#changed.delete(pipeline);
      return { ...how, change: this.#pipelineChange(this.#epoch, pipeline) };
    }
    return undefined;
  }

  /** The change from nothing to plans of an earlier run, all of one epoch; undefined where it is none. */
  restore(plans: readonly PlanDocument[]): Change | undefined {
    const [first] = plans;
    if (first === undefined || this.#held.size > 0) return undefined;
    const { epoch } = first;
    const changed = plans.filter((plan) => plan.epoch === epoch);
    const held = new Map(changed.map((plan) => [plan.pipeline, plan]));
    return { kind: "snapshot", epoch, changed, removed: [], plans: held };
  }

  /** The consumer has taken this change. A change that it rejects is not committed. */
  commit(change: Change): void {
    this.#held = change.plans;
    if (change.kind === "snapshot") this.#synced = this.#epoch !== undefined;
  }

  #snapshotChange(epoch: string): Change | undefined {
    const changed = [...this.#newest.values()].filter(
      (plan) => !isSame(plan, this.#held.get(plan.pipeline)),
    );
    const removed = [...this.#held.keys()].filter((pipeline) => !this.#newest.has(pipeline));
    if (this.#synced && changed.length === 0 && removed.length === 0) return undefined;
    return { kind: "snapshot", epoch, changed, removed, plans: new Map(this.#newest) };
  }

  #pipelineChange(epoch: string, pipeline: string): Change | undefined {
    const plan = this.#newest.get(pipeline);
    const held = this.#held.get(pipeline);
    const plans = new Map(this.#held);
    if (plan === undefined) {
      if (held === undefined) return undefined;
      plans.delete(pipeline);
      return { kind: "removed", epoch, pipeline, plans };
    }
    if (isSame(plan, held)) return undefined;
    plans.set(pipeline, plan);
    return { kind: "update", epoch, plan, plans };
  }
}

/** Equality, never order: a daemon whose store was lost begins again in a new epoch. */
function isSame(plan: PlanDocument, other: PlanDocument | undefined): boolean {
  return plan.epoch === other?.epoch && plan.revision === other.revision;
}
