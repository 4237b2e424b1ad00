import type { PlanDocument } from "../protocol/index.js";

/** Why a participant keeps a revision from being in force everywhere. */
export interface RolloutFailure {
  readonly node: string;
  readonly cause: "rejected" | "vanished" | "timed-out";
  /** The runtime's own words where it rejected, else ours. */
  readonly reason: string;
}

export type RolloutOutcome =
  /** In force at every participant. */
  | { kind: "active" }
  /** Nobody switched; the plan before is in force as if nothing had been. */
  | { kind: "aborted"; failures: readonly RolloutFailure[]; reason: string }
  /** It is the plan in force, yet these participants did not switch to it. */
  | { kind: "incomplete"; failures: readonly RolloutFailure[] };

/** `gone`: it was ready, and its connection ended afterwards; it may come back and switch. */
export type ParticipantState = "preparing" | "ready" | "active" | "gone";

/**
 * One revision on its way into force at all participants at once. `preparing` until all are ready;
 * `committing` while the decision is made durable, which is the point of no return; then `activating`.
 */
export type Rollout =
  | {
      readonly phase: "preparing" | "committing" | "activating";
      readonly plan: PlanDocument;
      /** By node. */
      readonly participants: ReadonlyMap<string, ParticipantState>;
      /** Monotonic. */
      readonly deadlineMs: number;
    }
  | { readonly phase: "over"; readonly plan: PlanDocument; readonly outcome: RolloutOutcome };

export type RolloutEvent =
  /** A runtime of a node of the plan subscribed while others prepare. */
  | { kind: "joined"; node: string }
  | { kind: "ready"; node: string }
  | { kind: "active"; node: string }
  | { kind: "rejected"; node: string; reason: string }
  | { kind: "vanished"; node: string }
  | { kind: "committed"; deadlineMs: number }
  | { kind: "commit-failed"; reason: string }
  /** Nobody wants this plan any more. Too late after the point of no return. */
  | { kind: "cancelled"; reason: string }
  | { kind: "time"; nowMs: number };

/** The nodes whose runtimes take part: all that run a partition, and the source, where requests begin. */
export function nodesOf({ source, partitions }: PlanDocument): ReadonlySet<string> {
  return new Set([source, ...partitions.map(({ node }) => node)]);
}

export function startRollout(
  plan: PlanDocument,
  nodes: Iterable<string>,
  deadlineMs: number,
): Rollout {
  const participants = new Map([...nodes].map((node) => [node, "preparing" as const]));
  return settle({ phase: "preparing", plan, participants, deadlineMs });
}

/** The rollout after one event. Events that come too late, twice or from strangers change nothing. */
export function advance(rollout: Rollout, event: RolloutEvent): Rollout {
  if (rollout.phase === "over") return rollout;
  const { phase, plan } = rollout;
  const stateOf = (node: string): ParticipantState | undefined => rollout.participants.get(node);
  const moved = (node: string, state: ParticipantState): Rollout =>
    settle({ ...rollout, participants: new Map(rollout.participants).set(node, state) });

  switch (event.kind) {
    case "joined":
      return phase === "preparing" ? moved(event.node, "preparing") : rollout;
    case "ready":
      return stateOf(event.node) === "preparing" ? moved(event.node, "ready") : rollout;
    case "active": {
      // While committing too: the new snapshot is offered before the commit comes back.
      const isAwaited = phase !== "preparing" && stateOf(event.node) !== undefined;
      return isAwaited ? moved(event.node, "active") : rollout;
    }
    case "rejected": {
      const state = stateOf(event.node);
      if (state === undefined || state === "active" || phase === "committing") return rollout;
      return failed(rollout, [{ node: event.node, cause: "rejected", reason: event.reason }]);
    }
    case "vanished": {
      const state = stateOf(event.node);
      if (state === undefined) return rollout;
      if (phase !== "preparing") return state === "ready" ? moved(event.node, "gone") : rollout;
      const reason = "its connection ended";
      return failed(rollout, [{ node: event.node, cause: "vanished", reason }]);
    }
    case "committed":
      if (phase !== "committing") return rollout;
      return settle({ ...rollout, phase: "activating", deadlineMs: event.deadlineMs });
    case "commit-failed":
      return phase === "committing" ? over(plan, aborted([], event.reason)) : rollout;
    case "cancelled":
      return phase === "preparing" ? over(plan, aborted([], event.reason)) : rollout;
    case "time":
      if (phase === "committing" || event.nowMs < rollout.deadlineMs) return rollout;
      return failed(rollout, lateOnes(rollout));
  }
}

type Running = Exclude<Rollout, { phase: "over" }>;

/** Goes on to the next phase where nobody is missing any more. */
function settle(rollout: Running): Rollout {
  const states = [...rollout.participants.values()];
  switch (rollout.phase) {
    case "preparing":
      if (states.some((state) => state === "preparing")) return rollout;
      return { ...rollout, phase: "committing" };
    case "committing":
      return rollout;
    case "activating":
      if (states.some((state) => state !== "active")) return rollout;
      return over(rollout.plan, { kind: "active" });
  }
}

function failed(rollout: Running, failures: readonly RolloutFailure[]): Rollout {
  const outcome: RolloutOutcome =
    rollout.phase === "activating"
      ? { kind: "incomplete", failures }
      : aborted(failures, failures.map(describeFailure).join("; "));
  return over(rollout.plan, outcome);
}

function lateOnes({ phase, participants }: Running): RolloutFailure[] {
  const missing = [...participants].filter(
    ([, state]) => state !== "active" && !(phase === "preparing" && state === "ready"),
  );
  return missing.map(([node, state]) =>
    state === "gone"
      ? { node, cause: "vanished", reason: "its connection ended and it did not come back" }
      : { node, cause: "timed-out", reason: "it did not answer in time" },
  );
}

/** "gpu-1 rejected it: no memory". */
export function describeFailure({ node, cause, reason }: RolloutFailure): string {
  switch (cause) {
    case "rejected":
      return `${node} rejected it: ${reason}`;
    case "vanished":
    case "timed-out":
      return `${node}: ${reason}`;
  }
}

function aborted(failures: readonly RolloutFailure[], reason: string): RolloutOutcome {
  return { kind: "aborted", failures, reason };
}

function over(plan: PlanDocument, outcome: RolloutOutcome): Rollout {
  return { phase: "over", plan, outcome };
}
