import type { PlanDocument, SubscribeMessage } from "../protocol/index.js";
import { type Content, plansOf, positiveAnswer } from "./content.js";

export interface InFlight {
  readonly nonce: string;
  readonly content: Content;
  readonly flushed: boolean;
  readonly answer: "taken" | "rejected" | undefined;
  readonly reason: string;
}

/** A plan that a runtime was told to load. */
interface Preparation {
  readonly revision: number;
  readonly nonce: string;
  readonly ready: boolean;
}

interface Refusal {
  readonly revision: number;
  readonly reason: string;
}

/**
 * The server's view of one subscriber. At most one frame is in flight: it is settled when the socket
 * took it and, where a runtime must answer it, when it is also answered. `prepare` may take minutes, so
 * it holds nothing up: its answer is awaited beside the frames. What comes next is always computed from
 * the newest view, so revisions that were overtaken meanwhile are never sent.
 */
export interface Session {
  readonly role: "runtime" | "observer";
  readonly node: string | undefined;
  /** Undefined: all pipelines. */
  readonly pipelines: ReadonlySet<string> | undefined;
  /** Epoch of all revisions below; undefined for a client that came with nothing. */
  readonly epoch: string | undefined;
  /** False until the first snapshot frame of `epoch` has been sent. */
  readonly greeted: boolean;
  /** In force at the client. */
  readonly held: ReadonlyMap<string, number>;
  /** Revisions the client rejected: not sent again while it stays connected. */
  readonly refused: ReadonlyMap<string, Refusal>;
  readonly preparing: ReadonlyMap<string, Preparation>;
  /** Pipelines of which a runtime may still keep something older than it holds. */
  readonly unretired: ReadonlySet<string>;
  /** The pipeline sent last, from which the search for the next one goes on, so that none starves. */
  readonly lastSent: string | undefined;
  readonly inFlight: InFlight | undefined;
}

/** Shared, since it is empty at most clients of which there are thousands. */
const NO_ENTRIES: ReadonlyMap<string, never> = new Map<string, never>();
const NO_MEMBERS: ReadonlySet<string> = new Set();

export function createSession(subscribe: SubscribeMessage): Session {
  const have = Object.entries(subscribe.have?.revisions ?? {});
  const prepared = Object.entries(subscribe.have?.prepared ?? {});
  return {
    role: subscribe.role,
    node: subscribe.node,
    pipelines: subscribe.pipelines === undefined ? undefined : new Set(subscribe.pipelines),
    epoch: subscribe.have?.epoch,
    greeted: false,
    held: mapOf(have),
    refused: NO_ENTRIES,
    // No frame of this connection asked for these, so no answer can name them.
    preparing: mapOf(
      prepared.map(([pipeline, revision]) => [pipeline, { revision, nonce: "", ready: true }]),
    ),
    unretired: setOf([...have, ...prepared].map(([pipeline]) => pipeline)),
    lastSent: undefined,
    inFlight: undefined,
  };
}

/** Notes that a frame with this content is being sent. */
export function begin(
  session: Session,
  content: Content,
  frame: { nonce: string; epoch: string },
): Session {
  const { nonce, epoch } = frame;
  const inFlight: InFlight = { nonce, content, flushed: false, answer: undefined, reason: "" };
  switch (content.kind) {
    case "snapshot": {
      const known = session.epoch === epoch ? {} : nothingKnown();
      return { ...session, ...known, epoch, greeted: true, inFlight };
    }
    case "update":
    case "activate":
      return { ...session, lastSent: content.plan.pipeline, inFlight };
    case "prepare": {
      const { pipeline, revision } = content.plan;
      const preparation = { revision, nonce, ready: false };
      return {
        ...session,
        preparing: new Map(session.preparing).set(pipeline, preparation),
        inFlight,
      };
    }
    case "abort":
      return { ...session, preparing: without(session.preparing, content.pipeline), inFlight };
    case "removed":
    case "retire":
      return { ...session, inFlight };
  }
}

function nothingKnown(): Pick<Session, "held" | "refused" | "preparing" | "unretired"> {
  return { held: NO_ENTRIES, refused: NO_ENTRIES, preparing: NO_ENTRIES, unretired: NO_MEMBERS };
}

/** The socket took the frame. */
export function flushed(session: Session): Session {
  if (session.inFlight === undefined) return session;
  return settle(session, { ...session.inFlight, flushed: true });
}

/** A client's answer to a frame. */
export interface Answer {
  readonly type: "ack" | "ready" | "active" | "reject";
  readonly nonce: string;
  readonly reason?: string;
}

/** The plans that an answer with this nonce is about; empty where nobody waits for such an answer. */
export function plansAnswered(session: Session, nonce: string): ReadonlyMap<string, number> {
  if (session.inFlight?.nonce === nonce && session.inFlight.answer === undefined) {
    const plans = plansOf(session.inFlight.content);
    return new Map(plans.map((plan) => [plan.pipeline, plan.revision]));
  }
  for (const [pipeline, preparation] of session.preparing) {
    if (preparation.nonce === nonce) return new Map([[pipeline, preparation.revision]]);
  }
  return new Map();
}

/**
 * The client's answer. Stale: an unknown nonce, a second answer, one of the wrong type, or an
 * observer's, which nobody waits for; these change nothing.
 */
export function answered(session: Session, answer: Answer): { session: Session; stale: boolean } {
  const { inFlight } = session;
  if (session.role === "observer") return { session, stale: true };
  if (inFlight?.nonce === answer.nonce && inFlight.content.kind !== "prepare") {
    const isExpected =
      inFlight.answer === undefined &&
      (answer.type === "reject" || answer.type === positiveAnswer(inFlight.content));
    if (!isExpected) return { session, stale: true };
    const outcome = answer.type === "reject" ? "rejected" : "taken";
    const reason = answer.reason ?? "";
    return { session: settle(session, { ...inFlight, answer: outcome, reason }), stale: false };
  }
  return preparationAnswered(session, answer);
}

function preparationAnswered(
  session: Session,
  answer: Answer,
): { session: Session; stale: boolean } {
  for (const [pipeline, preparation] of session.preparing) {
    if (preparation.nonce !== answer.nonce || preparation.ready) continue;
    if (answer.type === "ready") {
      const ready = { ...preparation, ready: true };
      const preparing = new Map(session.preparing).set(pipeline, ready);
      return { session: { ...session, preparing }, stale: false };
    }
    if (answer.type === "reject") {
      const refusal = { revision: preparation.revision, reason: answer.reason ?? "" };
      const refused = new Map(session.refused).set(pipeline, refusal);
      const preparing = without(session.preparing, pipeline);
      return { session: { ...session, preparing, refused }, stale: false };
    }
  }
  return { session, stale: true };
}

/** Whether the next frame has to wait for the client's answer to the present one. */
export function owesAnswer({ role, inFlight }: Pick<Session, "role" | "inFlight">): boolean {
  if (role === "observer" || inFlight === undefined || inFlight.answer !== undefined) return false;
  return positiveAnswer(inFlight.content) !== undefined;
}

/** The session after its frame has come so far; the frame is done with when nothing is left to wait for. */
function settle(session: Session, inFlight: InFlight): Session {
  const { role } = session;
  if (!inFlight.flushed || owesAnswer({ role, inFlight })) return { ...session, inFlight };
  const { content, answer, reason } = inFlight;
  // First what comes a thousandfold with each update.
  if (content.kind === "update" || content.kind === "activate") {
    return taken(session, content.plan, { answer, reason });
  }
  const next = { ...session, inFlight: undefined };
  switch (content.kind) {
    case "prepare":
    case "abort":
      return next;
    case "retire":
      return retired(next, content);
    case "removed":
      return { ...next, ...forgotten(session, [content.pipeline]) };
    case "snapshot": {
      const gone = [...session.held.keys()].filter((name) => !content.revisions.has(name));
      let state: Session = { ...next, ...forgotten(session, gone) };
      for (const plan of content.plans) state = taken(state, plan, { answer, reason });
      return state;
    }
  }
}

/** The client answered a frame that puts this plan in force. */
function taken(
  session: Session,
  plan: PlanDocument,
  { answer, reason }: Pick<InFlight, "answer" | "reason">,
): Session {
  const { pipeline, revision } = plan;
  const isPrepared = session.preparing.get(pipeline)?.revision === revision;
  const preparing = isPrepared ? without(session.preparing, pipeline) : session.preparing;
  if (answer === "rejected") {
    const refused = new Map(session.refused).set(pipeline, { revision, reason });
    return { ...session, inFlight: undefined, preparing, refused };
  }
  const isLater = session.role === "runtime" && session.held.has(pipeline);
  return {
    ...session,
    inFlight: undefined,
    preparing,
    held: new Map(session.held).set(pipeline, revision),
    refused: without(session.refused, pipeline),
    unretired: isLater ? new Set(session.unretired).add(pipeline) : session.unretired,
  };
}

/** Nothing older than this revision is left at the runtime, whether it was in force or prepared. */
function retired(
  session: Session,
  { pipeline, revision }: { pipeline: string; revision: number },
): Session {
  const left = session.preparing.get(pipeline);
  const isOlder = left !== undefined && left.revision < revision;
  return {
    ...session,
    unretired: withoutMember(session.unretired, pipeline),
    preparing: isOlder ? without(session.preparing, pipeline) : session.preparing,
  };
}

function forgotten(
  session: Session,
  pipelines: readonly string[],
): Pick<Session, "held" | "refused" | "unretired"> {
  const gone = new Set(pipelines);
  return {
    held: mapOf([...session.held].filter(([name]) => !gone.has(name))),
    refused: mapOf([...session.refused].filter(([name]) => !gone.has(name))),
    unretired: setOf([...session.unretired].filter((name) => !gone.has(name))),
  };
}

function mapOf<T>(entries: readonly (readonly [string, T])[]): ReadonlyMap<string, T> {
  return entries.length === 0 ? NO_ENTRIES : new Map(entries);
}

function setOf(members: readonly string[]): ReadonlySet<string> {
  return members.length === 0 ? NO_MEMBERS : new Set(members);
}

function without<T>(from: ReadonlyMap<string, T>, key: string): ReadonlyMap<string, T> {
  if (!from.has(key)) return from;
  const copy = new Map(from);
  copy.delete(key);
  return copy;
}

function withoutMember(from: ReadonlySet<string>, member: string): ReadonlySet<string> {
  const copy = new Set(from);
  copy.delete(member);
  return copy;
}
