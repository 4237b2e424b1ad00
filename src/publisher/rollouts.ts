import assert from "node:assert/strict";
import { type Clock, errorMessage } from "../core/index.js";
import type { PlanDocument } from "../protocol/index.js";
import type { Candidate } from "./content.js";
import type { RolloutInfo } from "./contract.js";
import { isReady, wants } from "./next.js";
import type { RolloutOptions } from "./options.js";
import {
  advance,
  nodesOf,
  type Rollout,
  type RolloutEvent,
  type RolloutOutcome,
  startRollout,
} from "./rollout.js";
import type { Session } from "./session.js";

interface Entry {
  rollout: Rollout;
  commit: () => Promise<void>;
  finish: (outcome: RolloutOutcome) => void;
}

export interface RolloutsDeps {
  options: RolloutOptions;
  clock: Clock;
  /** Of all connected runtimes. */
  sessions(): readonly Session[];
  /** What runtimes are to be told may have changed. */
  onChange(): void;
}

/** The rollouts under way, at most one per pipeline. Sessions are looked at, never called. */
export class Rollouts {
  readonly #deps: RolloutsDeps;
  readonly #entries = new Map<string, Entry>();
  /** Pipelines whose plan in force did not get to every participant. */
  readonly #incomplete = new Set<string>();

  constructor(deps: RolloutsDeps) {
    this.#deps = deps;
  }

  start(plan: PlanDocument, commit: () => Promise<void>): Promise<RolloutOutcome> {
    const { pipeline } = plan;
    assert(!this.#entries.has(pipeline), `two rollouts of ${pipeline} at once`);
    const { prepareTimeoutSeconds } = this.#deps.options;
    const deadlineMs = this.#deps.clock.monotonicMs() + prepareTimeoutSeconds * 1_000;
    return new Promise((finish) => {
      const rollout = startRollout(plan, participantsOf(plan, this.#deps.sessions()), deadlineMs);
      this.#entries.set(pipeline, { rollout, commit, finish });
      this.#moved(pipeline);
    });
  }

  /** A runtime subscribed. */
  joined(session: Session): void {
    for (const [pipeline, { rollout }] of this.#entries) {
      if (participantsOf(rollout.plan, [session]).length === 0) continue;
      this.#apply(pipeline, { kind: "joined", node: session.node ?? "" });
    }
  }

  /** Something happened in the session of a runtime. */
  observe(session: Session): void {
    const { node } = session;
    if (node === undefined) return;
    for (const [pipeline, { rollout }] of this.#entries) {
      const event = whatItSays(session, node, rollout.plan);
      if (event !== undefined) this.#apply(pipeline, event);
    }
  }

  vanished({ node, pipelines }: Session): void {
    if (node === undefined) return;
    for (const pipeline of this.#entries.keys()) {
      if (pipelines?.has(pipeline) !== false) this.#apply(pipeline, { kind: "vanished", node });
    }
  }

  cancel(pipeline: string, reason: string): void {
    this.#apply(pipeline, { kind: "cancelled", reason });
  }

  /** Enforces the deadlines; to be called a few times per second. */
  check(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const pipeline of this.#entries.keys()) this.#apply(pipeline, { kind: "time", nowMs });
  }

  /** Ends all of them, whatever their phase. */
  stop(): void {
    for (const [pipeline, { rollout, finish }] of this.#entries) {
      this.#entries.delete(pipeline);
      finish(
        rollout.phase === "preparing"
          ? { kind: "aborted", failures: [], reason: "the daemon is stopping" }
          : { kind: "incomplete", failures: [] },
      );
    }
  }

  candidates(): readonly Candidate[] {
    return this.#running().flatMap((rollout) =>
      rollout.phase === "activating"
        ? []
        : [{ plan: rollout.plan, nodes: new Set(rollout.participants.keys()) }],
    );
  }

  /** Whether the plan in force of this pipeline is still on its way to some participant. */
  isSwitching(pipeline: string): boolean {
    const phase = this.#entries.get(pipeline)?.rollout.phase;
    return this.#incomplete.has(pipeline) || phase === "committing" || phase === "activating";
  }

  list(): readonly RolloutInfo[] {
    return this.#running().map(({ plan, phase, participants }) => {
      const done = phase === "activating" ? "active" : "ready";
      const waiting = [...participants].filter(([, state]) => state !== done);
      const waitingFor = waiting.map(([node]) => node);
      return { pipeline: plan.pipeline, revision: plan.revision, phase, waitingFor };
    });
  }

  #running(): Exclude<Rollout, { phase: "over" }>[] {
    return [...this.#entries.values()].flatMap(({ rollout }) =>
      rollout.phase === "over" ? [] : [rollout],
    );
  }

  #apply(pipeline: string, event: RolloutEvent): void {
    const entry = this.#entries.get(pipeline);
    if (entry === undefined) return;
    const next = advance(entry.rollout, event);
    if (next === entry.rollout) return;
    const before = entry.rollout.phase;
    entry.rollout = next;
    if (next.phase !== before) this.#moved(pipeline);
    else if (event.kind === "joined") this.#deps.onChange();
  }

  /** A rollout has come to another phase. */
  #moved(pipeline: string): void {
    const entry = this.#entries.get(pipeline);
    if (entry === undefined) return;
    const { rollout } = entry;
    if (rollout.phase === "committing") void this.#commit(pipeline, entry);
    if (rollout.phase === "over") {
      this.#entries.delete(pipeline);
      if (rollout.outcome.kind === "active") this.#incomplete.delete(pipeline);
      if (rollout.outcome.kind === "incomplete") this.#incomplete.add(pipeline);
      entry.finish(rollout.outcome);
    }
    this.#deps.onChange();
  }

  async #commit(pipeline: string, { commit }: Entry): Promise<void> {
    try {
      await commit();
    } catch (error) {
      this.#apply(pipeline, { kind: "commit-failed", reason: errorMessage(error) });
      return;
    }
    const { activateTimeoutSeconds } = this.#deps.options;
    const deadlineMs = this.#deps.clock.monotonicMs() + activateTimeoutSeconds * 1_000;
    this.#apply(pipeline, { kind: "committed", deadlineMs });
    // Answers may have come while the commit was on its way back.
    for (const session of this.#deps.sessions()) this.observe(session);
  }
}

/** The nodes of the plan for which one of these sessions speaks. */
export function participantsOf(plan: PlanDocument, sessions: readonly Session[]): string[] {
  const nodes = nodesOf(plan);
  return sessions.flatMap((session) => {
    const { role, node } = session;
    if (role !== "runtime" || node === undefined || !nodes.has(node)) return [];
    return wants(session, plan.pipeline) ? [node] : [];
  });
}

/**
 * Whether the runtime may still begin requests on an older revision than the plan in force.
 * A runtime that is not connected cannot be waited for; it asks for the plan when it comes back.
 */
export function lagsBehind(session: Session, plan: PlanDocument): boolean {
  if (participantsOf(plan, [session]).length === 0) return false;
  return session.held.get(plan.pipeline) !== plan.revision;
}

/** What the present state of a session means for a rollout. */
export function whatItSays(
  session: Session,
  node: string,
  plan: PlanDocument,
): RolloutEvent | undefined {
  const { pipeline, revision } = plan;
  if (session.held.get(pipeline) === revision) return { kind: "active", node };
  const refusal = session.refused.get(pipeline);
  if (refusal?.revision === revision) return { kind: "rejected", node, reason: refusal.reason };
  return isReady(session, plan) ? { kind: "ready", node } : undefined;
}
