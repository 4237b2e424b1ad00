import type { RawData } from "ws";
import type { Clock, Logger } from "../core/index.js";
import {
  type ClientMessage,
  CLOSE_CODES,
  clientMessageSchema,
  parseJson,
  type ReportMessage,
  type SubscribeMessage,
} from "../protocol/index.js";
import { mayServe, type Principal } from "./access.js";
import type { View } from "./content.js";
import type { CloseCause, PublisherEvent, Rejection, SubscriberInfo } from "./contract.js";
import type { FrameCache } from "./frames.js";
import { visibleRevisions } from "./next.js";
import type { StreamOptions } from "./options.js";
import { RateLimit } from "./rate-limit.js";
import { type Answer, answered, owesAnswer, plansAnswered, type Session } from "./session.js";
import type { Steps } from "./steps.js";
import type { Packet } from "./wire.js";

const NORMAL_CLOSURE = 1000;
const GOING_AWAY = 1001;
/** What a close frame has room for. */
const CLOSE_REASON_BYTES_MAX = 123;
const MISSED_PONGS_MAX = 2;
const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

const CODE_OF_CAUSE: Record<CloseCause, number> = {
  client: NORMAL_CLOSURE,
  "hello-timeout": CLOSE_CODES.helloTimeout,
  "protocol-error": CLOSE_CODES.protocolError,
  "too-slow": CLOSE_CODES.tooSlow,
  silent: CLOSE_CODES.tooSlow,
  replaced: CLOSE_CODES.replaced,
  forbidden: CLOSE_CODES.forbidden,
  stopping: GOING_AWAY,
};

export interface SocketEvents {
  message: (data: RawData, isBinary: boolean) => void;
  pong: () => void;
  error: () => void;
  close: () => void;
}

/** What a connection needs of its socket. */
export interface FrameSocket {
  on<K extends keyof SocketEvents>(event: K, listener: SocketEvents[K]): unknown;
  /** `onTaken`: it is off our hands; at once with an error where it never will be. */
  send(packet: Packet, onTaken: (error?: Error | null) => void): void;
  close(code: number, reason: string): void;
  terminate(): void;
  ping(): void;
}

export interface ConnectionContext {
  readonly options: StreamOptions;
  readonly clock: Clock;
  readonly log: Logger;
  readonly frames: FrameCache;
  readonly steps: Steps;
  /** The newest offer and the rollouts under way; undefined before the first offer. */
  view(): View | undefined;
  onEvent(event: PublisherEvent): void;
  onSubscribed(connection: Connection): void;
  /** The client answered, or the socket took a frame. */
  onSession(session: Session, before: Session): void;
  onReject(rejection: Rejection): void;
  onReport(node: string, report: ReportMessage): void;
  /** It will be told nothing more. Called before `onClosed`, perhaps twice. */
  onClosing(connection: Connection): void;
  onClosed(connection: Connection): void;
}

/**
 * One client's socket. It holds no timer of its own: the owner calls `check` a few times per second.
 * At most one write is outstanding, so a client that does not read costs one frame of memory.
 */
export class Connection {
  readonly principal: Principal;
  readonly #socket: FrameSocket;
  readonly #context: ConnectionContext;
  readonly #openedMs: number;
  #session: Session | undefined;
  /** Since when the socket has not taken the last write. */
  #writingSinceMs: number | undefined;
  /** Since when a runtime owes an answer. */
  #sentMs = 0;
  #heartbeatMs: number;
  #pingMs: number;
  #missedPongs = 0;
  readonly #messageRate: RateLimit;
  /** Undefined before the first report: most clients send none. */
  #reportRate: RateLimit | undefined;
  #closing: { cause: CloseCause; sinceMs: number } | undefined;

  constructor(socket: FrameSocket, principal: Principal, context: ConnectionContext) {
    this.principal = principal;
    this.#socket = socket;
    this.#context = context;
    this.#openedMs = context.clock.monotonicMs();
    this.#heartbeatMs = this.#openedMs;
    this.#pingMs = this.#openedMs;
    this.#messageRate = new RateLimit({
      max: context.options.messagesPerSecondMax,
      windowMs: SECOND_MS,
    });
    socket.on("message", (data, isBinary) => this.#receive(data, isBinary));
    socket.on("pong", () => {
      this.#missedPongs = 0;
    });
    // ws closes after an error by itself, with 1007 or 1009 where the client is at fault.
    socket.on("error", () => {
      this.#closing ??= { cause: "protocol-error", sinceMs: context.clock.monotonicMs() };
    });
    socket.on("close", () => {
      context.onEvent({ kind: "connection-closed", cause: this.#closing?.cause ?? "client" });
      context.onClosing(this);
      context.onClosed(this);
    });
  }

  /** Undefined until the client has subscribed. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Undefined until the client has subscribed. */
  get info(): SubscriberInfo | undefined {
    if (this.#session === undefined) return undefined;
    const { role, node, held } = this.#session;
    return { role, node, revisions: held };
  }

  /** Subscribes for a client that cannot speak for itself. */
  subscribeAs(message: SubscribeMessage): void {
    this.#handle(message);
  }

  /** Sends what the client lacks of the newest snapshot, unless it is busy with an earlier frame. */
  pump(): void {
    const { steps, clock } = this.#context;
    const view = this.#context.view();
    const session = this.#session;
    if (view === undefined || session === undefined) return;
    if (this.#closing !== undefined || this.#writingSinceMs !== undefined) return;
    const sending = steps.next(session, view);
    if (sending === undefined) return;
    this.#session = sending.session;
    this.#sentMs = clock.monotonicMs();
    this.#write(sending.frame, this.#sentMs, () => {
      if (this.#session !== undefined) this.#moved(this.#session, steps.flushed(this.#session));
    });
    this.#context.onEvent({ kind: "frame-sent", type: sending.kind });
  }

  /** Enforces every deadline and sends pings and heartbeats that are due. */
  check(): void {
    const { clock, options } = this.#context;
    const nowMs = clock.monotonicMs();
    if (this.#closing !== undefined) {
      const overdue = nowMs - this.#closing.sinceMs >= options.closeGraceSeconds * 1_000;
      if (overdue) this.#socket.terminate();
      return;
    }
    const verdict = this.#overdue(nowMs);
    if (verdict !== undefined) {
      this.close(verdict.cause, verdict.reason);
      return;
    }
    this.#pingWhenDue(nowMs);
    this.#heartbeatWhenDue(nowMs);
  }

  close(cause: CloseCause, reason: string): void {
    if (this.#closing !== undefined) return;
    this.#closing = { cause, sinceMs: this.#context.clock.monotonicMs() };
    this.#socket.close(CODE_OF_CAUSE[cause], closeReason(reason));
    this.#context.onClosing(this);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #overdue(nowMs: number): { cause: CloseCause; reason: string } | undefined {
    const { options } = this.#context;
    if (this.#session === undefined) {
      return nowMs - this.#openedMs >= options.helloTimeoutSeconds * 1_000
        ? { cause: "hello-timeout", reason: "no subscribe message" }
        : undefined;
    }
    const since = this.#writingSinceMs;
    if (since !== undefined && nowMs - since >= options.flushTimeoutSeconds * 1_000) {
      return { cause: "too-slow", reason: "does not read what it is sent" };
    }
    if (owesAnswer(this.#session) && nowMs - this.#sentMs >= options.ackTimeoutSeconds * 1_000) {
      return { cause: "too-slow", reason: "no answer to an update" };
    }
    if (this.#missedPongs >= MISSED_PONGS_MAX && nowMs - this.#pingMs >= this.#pingPeriodMs) {
      return { cause: "silent", reason: "pings unanswered" };
    }
    return undefined;
  }

  get #pingPeriodMs(): number {
    return this.#context.options.pingSeconds * 1_000;
  }

  #pingWhenDue(nowMs: number): void {
    if (nowMs - this.#pingMs < this.#pingPeriodMs) return;
    this.#pingMs = nowMs;
    this.#missedPongs += 1;
    this.#socket.ping();
  }

  #heartbeatWhenDue(nowMs: number): void {
    const { options, frames } = this.#context;
    const view = this.#context.view();
    if (this.#session === undefined || view === undefined) return;
    if (nowMs - this.#heartbeatMs < options.heartbeatSeconds * 1_000) return;
    // A frame that is still being written is a sign of life itself.
    if (this.#writingSinceMs !== undefined) return;
    this.#heartbeatMs = nowMs;
    const heartbeat = frames.heartbeat(view, visibleRevisions(this.#session, view));
    this.#write(heartbeat, nowMs, () => undefined);
    this.#context.onEvent({ kind: "frame-sent", type: "heartbeat" });
  }

  #write(packet: Packet, nowMs: number, onTaken: () => void): void {
    this.#writingSinceMs = nowMs;
    this.#socket.send(packet, (error) => {
      // After an error the close event follows; there is nothing left to send to.
      if (error instanceof Error) return;
      this.#writingSinceMs = undefined;
      onTaken();
      this.pump();
    });
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#closing !== undefined) return;
    const problem = this.#accept(data, isBinary);
    if (problem === undefined) return;
    this.#context.log.debug({ problem }, "client broke the protocol");
    this.close("protocol-error", problem);
  }

  /** Returns what is wrong with the message; undefined where nothing is. */
  #accept(data: RawData, isBinary: boolean): string | undefined {
    if (!this.#messageRate.admits(this.#context.clock.monotonicMs())) {
      return "too many messages in one second";
    }
    if (isBinary) return "binary messages are not part of this protocol";
    const parsed = parseJson(textOf(data), clientMessageSchema);
    return parsed.ok ? this.#handle(parsed.value) : parsed.message;
  }

  #handle(message: ClientMessage): string | undefined {
    const session = this.#session;
    if (message.type === "subscribe") {
      if (session !== undefined) return "subscribed already";
      if (message.role === "runtime" && !mayServe(this.principal, message.node)) {
        this.close("forbidden", "this client may not be a runtime of that node");
        return undefined;
      }
      this.#session = this.#context.steps.subscribed(message);
      this.#context.onSubscribed(this);
      this.pump();
      return undefined;
    }
    if (session === undefined) return "subscribe first";
    if (message.type === "report") this.#takeReport(session, message);
    else this.#takeAnswer(session, message);
    return undefined;
  }

  #takeAnswer(session: Session, answer: Answer): void {
    const result = answered(session, answer);
    this.#context.onEvent({ kind: "answer", result: result.stale ? "stale" : answer.type });
    if (result.stale) return;
    if (answer.type === "reject") {
      const revisions = plansAnswered(session, answer.nonce);
      this.#context.onReject({ node: session.node, revisions, reason: answer.reason ?? "" });
    }
    this.#moved(session, result.session);
    this.pump();
  }

  #takeReport({ role, node }: Session, report: ReportMessage): void {
    const isOwn =
      role === "runtime" &&
      node !== undefined &&
      report.stages.every((stage) => stage.node === node) &&
      report.transfers.every(({ from, to }) => from === node || to === node);
    const { clock, options } = this.#context;
    this.#reportRate ??= new RateLimit({ max: options.reportsPerMinuteMax, windowMs: MINUTE_MS });
    const isAdmitted = isOwn && this.#reportRate.admits(clock.monotonicMs());
    const result = isAdmitted ? "accepted" : isOwn ? "limited" : "foreign";
    this.#context.onEvent({ kind: "report", result });
    if (isAdmitted) this.#context.onReport(node, report);
  }

  #moved(before: Session, session: Session): void {
    this.#session = session;
    this.#context.onSession(session, before);
  }
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString("utf8");
  return Buffer.isBuffer(data) ? data.toString("utf8") : Buffer.from(data).toString("utf8");
}

/** Cut to fit, and ASCII, since it may quote what the client sent. */
function closeReason(text: string): string {
  return text.replace(/[^ -~]/g, "?").slice(0, CLOSE_REASON_BYTES_MAX);
}
