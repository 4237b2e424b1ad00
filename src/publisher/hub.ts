import assert from "node:assert/strict";
import type { Clock } from "../core/index.js";
import type { PlanDocument } from "../protocol/index.js";
import type { Principal } from "./access.js";
import type { Connection, ConnectionContext } from "./connection.js";
import type { View } from "./content.js";
import type { PublisherDeps, Snapshot } from "./contract.js";
import { FrameCache } from "./frames.js";
import type { PublisherOptions } from "./options.js";
import { nodesOf } from "./rollout.js";
import { lagsBehind, Rollouts } from "./rollouts.js";
import { Runtimes } from "./runtimes.js";
import type { Session } from "./session.js";
import { Steps } from "./steps.js";
import { createBroadcast, inTurns } from "./turns.js";

/** What all connections share: the newest snapshot, the rollouts under way, and each other. */
export class Hub {
  readonly connections = new Set<Connection>();
  readonly runtimes = new Runtimes();
  readonly rollouts: Rollouts;
  readonly context: ConnectionContext;
  readonly #deps: PublisherDeps;
  #snapshot: Snapshot | undefined;
  #view: View | undefined;
  readonly #tellEverybody: () => void;
  readonly #tellRuntimes: () => void;

  constructor(options: PublisherOptions, deps: PublisherDeps, onClosed: () => void) {
    this.#deps = deps;
    const pump = (connection: Connection): void => connection.pump();
    this.#tellEverybody = createBroadcast(this.connections, pump, deps.clock);
    this.#tellRuntimes = createBroadcast(this.runtimes.members, pump, deps.clock);
    this.rollouts = new Rollouts({
      options: options.rollout,
      clock: deps.clock,
      sessions: () => this.runtimes.sessions(),
      onChange: () => {
        this.#lookAnew();
        this.#tellRuntimes();
      },
    });
    const frames = new FrameCache(Math.floor(deps.random() * 36 ** 6).toString(36));
    this.context = {
      options: options.stream,
      clock: deps.clock,
      log: deps.log,
      frames,
      steps: new Steps(frames),
      view: () => this.#view,
      onEvent: (event) => deps.onEvent?.(event),
      onSubscribed: (connection) => this.#subscribed(connection),
      onSession: (session, before) => {
        this.rollouts.observe(session);
        if (session.held !== before.held) this.#caughtUp(session);
      },
      onReject: (rejection) => deps.onReject?.(rejection),
      onReport: (node, report) => deps.onReport?.(node, report),
      onClosing: (connection) => {
        if (!this.runtimes.remove(connection) || connection.session === undefined) return;
        this.rollouts.vanished(connection.session);
        this.#caughtUp(connection.session);
      },
      onClosed: (connection) => {
        this.connections.delete(connection);
        onClosed();
      },
    };
  }

  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  offer(next: Snapshot): void {
    assertConsistent(next, this.#snapshot);
    this.#snapshot = next;
    this.#lookAnew();
    this.#tellEverybody();
  }

  /** Closes the connections of those who may have none any more. */
  dismiss(isUnwanted: (principal: Principal) => boolean): void {
    for (const connection of this.connections) {
      if (!isUnwanted(connection.principal)) continue;
      connection.close("forbidden", "this client may connect no longer");
    }
  }

  /** Enforces the deadlines of connections and rollouts, every `intervalMs` until the signal. */
  async keepDeadlines(clock: Clock, intervalMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(intervalMs, signal);
      await inTurns(this.connections, (connection) => connection.check(), clock);
      this.rollouts.check();
    }
  }

  #subscribed(connection: Connection): void {
    const { session } = connection;
    if (session?.role !== "runtime") return;
    // The older one is a connection that died unnoticed, or a second runtime by mistake.
    for (const older of this.runtimes.replacedBy(connection)) {
      older.close("replaced", "another runtime subscribed for this node");
    }
    this.runtimes.add(connection);
    this.rollouts.joined(session);
    if (session.node !== undefined) this.#deps.onRuntime?.(session.node);
  }

  /** A runtime has another plan in force now, or is gone: others may retire what it needed. */
  #caughtUp({ role, node }: Session): void {
    if (role !== "runtime" || node === undefined) return;
    for (const plan of this.#snapshot?.plans ?? []) {
      const nodes = nodesOf(plan);
      if (!nodes.has(node)) continue;
      for (const other of this.runtimes.of(nodes)) other.pump();
    }
  }

  #isLagging(plan: PlanDocument): boolean {
    if (this.rollouts.isSwitching(plan.pipeline)) return true;
    const others = this.runtimes.of(nodesOf(plan));
    return others.some(({ session }) => session !== undefined && lagsBehind(session, plan));
  }

  #lookAnew(): void {
    if (this.#snapshot === undefined) return;
    this.#view = {
      ...this.#snapshot,
      candidates: this.rollouts.candidates(),
      isLagging: (plan) => this.#isLagging(plan),
    };
  }
}

/** A snapshot that mixes epochs, names a pipeline twice or goes back is a fault of the daemon. */
function assertConsistent(next: Snapshot, previous: Snapshot | undefined): void {
  const before = new Map<string, number>();
  if (previous?.epoch === next.epoch) {
    for (const plan of previous.plans) before.set(plan.pipeline, plan.revision);
  }
  const seen = new Set<string>();
  for (const { pipeline, revision, epoch } of next.plans) {
    assert.equal(epoch, next.epoch, `plan of ${pipeline} is of another epoch`);
    assert(!seen.has(pipeline), `two plans of ${pipeline} in one snapshot`);
    assert(revision >= (before.get(pipeline) ?? 0), `revision of ${pipeline} goes back`);
    seen.add(pipeline);
  }
}
