import type { PlanDocument, SubscribeMessage } from "../protocol/index.js";
import type { Snapshot } from "./contract.js";

/** What one frame tells a client. */
export type Content =
  | {
      kind: "snapshot";
      /** Every plan the client may have, by pipeline. It drops all others. */
      revisions: ReadonlyMap<string, number>;
      /** Those of them that it lacks. */
      plans: readonly PlanDocument[];
    }
  | { kind: "update"; plan: PlanDocument }
  | { kind: "removed"; pipeline: string };

interface InFlight {
  readonly nonce: string;
  readonly content: Content;
  readonly flushed: boolean;
  readonly answer: "ack" | "reject" | undefined;
}

/**
 * The server's view of one subscriber. At most one frame is in flight: an observer's is settled when
 * the socket took it, a runtime's when it is also answered. What comes next is always computed from
 * the newest snapshot, so revisions that were overtaken meanwhile are never sent.
 */
export interface Session {
  readonly role: "runtime" | "observer";
  readonly node: string | undefined;
  /** Undefined: all pipelines. */
  readonly pipelines: ReadonlySet<string> | undefined;
  /** Epoch of `held` and `refused`; undefined for a client that came with nothing. */
  readonly epoch: string | undefined;
  /** False until the first snapshot frame of `epoch` has been sent. */
  readonly greeted: boolean;
  readonly held: ReadonlyMap<string, number>;
  /** Revisions the client rejected: not sent again while it stays connected. */
  readonly refused: ReadonlyMap<string, number>;
  /** The pipeline sent last, from which the search for the next one goes on, so that none starves. */
  readonly lastSent: string | undefined;
  readonly inFlight: InFlight | undefined;
}

export function createSession(subscribe: SubscribeMessage): Session {
  return {
    role: subscribe.role,
    node: subscribe.node,
    pipelines: subscribe.pipelines === undefined ? undefined : new Set(subscribe.pipelines),
    epoch: subscribe.have?.epoch,
    greeted: false,
    held: new Map(Object.entries(subscribe.have?.revisions ?? {})),
    refused: new Map(),
    lastSent: undefined,
    inFlight: undefined,
  };
}

/** The pipelines of the snapshot that this client subscribed to, with their revisions. */
export function visibleRevisions(session: Session, snapshot: Snapshot): Map<string, number> {
  return new Map(visiblePlans(session, snapshot).map((plan) => [plan.pipeline, plan.revision]));
}

function visiblePlans(session: Session, snapshot: Snapshot): readonly PlanDocument[] {
  const { pipelines } = session;
  if (pipelines === undefined) return snapshot.plans;
  return snapshot.plans.filter((plan) => pipelines.has(plan.pipeline));
}

/** What to send now; undefined while a frame is in flight or when the client is up to date. */
export function nextContent(session: Session, snapshot: Snapshot): Content | undefined {
  if (session.inFlight !== undefined) return undefined;
  const visible = visiblePlans(session, snapshot);
  const sameEpoch = session.epoch === snapshot.epoch;
  if (!session.greeted || !sameEpoch) {
    return {
      kind: "snapshot",
      revisions: visibleRevisions(session, snapshot),
      plans: sameEpoch ? visible.filter((plan) => !isSettled(session, plan)) : visible,
    };
  }
  // Removals first: they are few, and busy pipelines must not keep them waiting for ever.
  const names = new Set(visible.map((plan) => plan.pipeline));
  for (const pipeline of session.held.keys()) {
    if (!names.has(pipeline)) return { kind: "removed", pipeline };
  }
  const plan = nextPlan(session, visible);
  return plan === undefined ? undefined : { kind: "update", plan };
}

function isSettled(session: Session, plan: PlanDocument): boolean {
  const { pipeline, revision } = plan;
  // Equality, not order: a client may hold what a lost store no longer knows.
  return session.held.get(pipeline) === revision || session.refused.get(pipeline) === revision;
}

function nextPlan(session: Session, visible: readonly PlanDocument[]): PlanDocument | undefined {
  const start = visible.findIndex((plan) => plan.pipeline === session.lastSent) + 1;
  for (let step = 0; step < visible.length; step += 1) {
    const plan = visible[(start + step) % visible.length];
    if (plan !== undefined && !isSettled(session, plan)) return plan;
  }
  return undefined;
}

/** Notes that a frame with this content is being sent. */
export function begin(
  session: Session,
  content: Content,
  frame: { nonce: string; epoch: string },
): Session {
  const inFlight: InFlight = { nonce: frame.nonce, content, flushed: false, answer: undefined };
  switch (content.kind) {
    case "snapshot": {
      const fresh = session.epoch === frame.epoch ? {} : { held: new Map(), refused: new Map() };
      return { ...session, ...fresh, epoch: frame.epoch, greeted: true, inFlight };
    }
    case "update":
      return { ...session, lastSent: content.plan.pipeline, inFlight };
    case "removed":
      return { ...session, inFlight };
  }
}

/** The socket took the frame. */
export function flushed(session: Session): Session {
  if (session.inFlight === undefined) return session;
  return settle({ ...session, inFlight: { ...session.inFlight, flushed: true } });
}

/**
 * The client's answer. Stale: an unknown nonce, a second answer, or an observer's, which nobody
 * waits for; these change nothing.
 */
export function answered(
  session: Session,
  message: { type: "ack" | "reject"; nonce: string },
): { session: Session; stale: boolean } {
  const { inFlight, role } = session;
  const expected =
    role === "runtime" && inFlight?.nonce === message.nonce && inFlight.answer === undefined;
  if (!expected) return { session, stale: true };
  const next = { ...session, inFlight: { ...inFlight, answer: message.type } };
  return { session: settle(next), stale: false };
}

function settle(session: Session): Session {
  const { inFlight } = session;
  if (inFlight?.flushed !== true) return session;
  if (session.role === "runtime" && inFlight.answer === undefined) return session;
  const held = new Map(session.held);
  const refused = new Map(session.refused);
  const { content } = inFlight;
  if (content.kind === "removed") {
    held.delete(content.pipeline);
    refused.delete(content.pipeline);
  }
  if (content.kind === "snapshot") {
    for (const pipeline of held.keys()) {
      if (!content.revisions.has(pipeline)) held.delete(pipeline);
    }
  }
  for (const { pipeline, revision } of plansOf(content)) {
    if (inFlight.answer === "reject") {
      refused.set(pipeline, revision);
    } else {
      held.set(pipeline, revision);
      refused.delete(pipeline);
    }
  }
  return { ...session, held, refused, inFlight: undefined };
}

export function plansOf(content: Content): readonly PlanDocument[] {
  switch (content.kind) {
    case "snapshot":
      return content.plans;
    case "update":
      return [content.plan];
    case "removed":
      return [];
  }
}
