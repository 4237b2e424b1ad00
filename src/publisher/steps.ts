import type { SubscribeMessage } from "../protocol/index.js";
import type { Content, View } from "./content.js";
import type { Frame, FrameCache } from "./frames.js";
import { nextContent } from "./next.js";
import { begin, createSession, flushed, type Session } from "./session.js";

/** A frame to be sent now, and the session once it is on its way. */
export interface Sending {
  readonly frame: Frame;
  readonly kind: Content["kind"];
  readonly session: Session;
}

/** Distinct beginnings kept; with more, as with many different filters, sessions are made anew. */
const BEGINNINGS_MAX = 256;
const BEGINNING_CHARACTERS_MAX = 1_024;

/**
 * The steps of sessions, each worked out once for all observers in the same state. Sessions are never
 * changed, so those that subscribed alike and were told the same share one, however many thousands they
 * are. What a runtime is sent depends on other runtimes as well, and is always worked out anew.
 */
export class Steps {
  readonly #frames: FrameCache;
  readonly #beginnings = new Map<string, Session>();
  /** What was worked out for this view. Kept longer, each state would keep all that came of it. */
  #view: View | undefined;
  #sendings = new WeakMap<Session, { sending: Sending | undefined }>();
  #flushed = new WeakMap<Session, Session>();

  constructor(frames: FrameCache) {
    this.#frames = frames;
  }

  /** The session of a client that has just subscribed. */
  subscribed(message: SubscribeMessage): Session {
    const key = message.role === "observer" ? JSON.stringify(message) : "";
    if (key === "" || key.length > BEGINNING_CHARACTERS_MAX) return createSession(message);
    let session = this.#beginnings.get(key);
    if (session === undefined) {
      if (this.#beginnings.size >= BEGINNINGS_MAX) this.#beginnings.clear();
      session = createSession(message);
      this.#beginnings.set(key, session);
    }
    return session;
  }

  /** What the client lacks of the view; undefined where that is nothing, or where it is busy. */
  next(session: Session, view: View): Sending | undefined {
    if (session.role === "runtime") return this.#workOut(session, view);
    if (view !== this.#view) {
      this.#view = view;
      this.#sendings = new WeakMap();
      this.#flushed = new WeakMap();
    }
    let known = this.#sendings.get(session);
    if (known === undefined) {
      known = { sending: this.#workOut(session, view) };
      this.#sendings.set(session, known);
    }
    return known.sending;
  }

  /** The socket took the frame. */
  flushed(session: Session): Session {
    if (session.role === "runtime") return flushed(session);
    let next = this.#flushed.get(session);
    if (next === undefined) {
      next = flushed(session);
      this.#flushed.set(session, next);
    }
    return next;
  }

  #workOut(session: Session, view: View): Sending | undefined {
    const content = nextContent(session, view);
    if (content === undefined) return undefined;
    const frame = this.#frames.frame(view, content);
    const { nonce } = frame;
    const begun = begin(session, content, { nonce, epoch: view.epoch });
    return { frame, kind: content.kind, session: begun };
  }
}
