import { type Clock, errorMessage } from "../core/index.js";
import type { TlsOptions } from "../https/options.js";
import {
  type ClientMessage,
  CLOSE_CODES,
  parseJson,
  type ServerMessage,
  serverMessageSchema,
  UPDATES_SUBPROTOCOL,
} from "../protocol/index.js";
import type { ConnectionOptions } from "./options.js";
import type { SocketFactory, SocketLike } from "./socket.js";

/** How long a close may take before the socket is destroyed. */
const CLOSE_GRACE_MS = 1_000;
const NORMAL_CLOSURE = 1000;

export interface Conversation {
  url: string;
  options: ConnectionOptions;
  clock: Clock;
  openSocket: SocketFactory;
  token: string | undefined;
  tls: TlsOptions | undefined;
  /** Ends the conversation. */
  signal: AbortSignal;
  /** The connection is open; `send` returns false, and sends nothing, after its end. */
  onOpen(send: (message: ClientMessage) => boolean): void;
  /** Returns what is wrong with the message, which ends the conversation; undefined where nothing is. */
  onMessage(message: ServerMessage): string | undefined;
}

/**
 * Holds one connection until it ends, and resolves with the reason in plain words; undefined where
 * the signal ended it. Never rejects.
 */
export async function converse(conversation: Conversation): Promise<string | undefined> {
  const { url, options, clock, signal } = conversation;
  const { messageBytesMax } = options;
  const ended = new AbortController();
  const closed = new AbortController();
  const outcome: { reason: string | undefined; closeCode: number } = {
    reason: undefined,
    closeCode: NORMAL_CLOSURE,
  };
  const heard = { atMs: clock.monotonicMs(), first: new AbortController() };

  const end = (reason: string | undefined, closeCode: number = NORMAL_CLOSURE): void => {
    if (ended.signal.aborted) return;
    Object.assign(outcome, { reason, closeCode });
    ended.abort();
  };
  const onHeard = (): void => {
    heard.atMs = clock.monotonicMs();
    heard.first.abort();
  };
  const stop = (): void => end(undefined);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();

  let socket: SocketLike | undefined;
  try {
    socket = await conversation.openSocket(url, UPDATES_SUBPROTOCOL, {
      messageBytesMax,
      token: conversation.token,
      tls: conversation.tls,
    });
    listen(socket, { ended: ended.signal, closed, end, heard: onHeard }, conversation);
    const first = AbortSignal.any([ended.signal, heard.first.signal]);
    await clock.sleep(options.connectTimeoutSeconds * 1_000, first);
    if (!first.aborted) end("the daemon does not answer");
    while (!ended.signal.aborted) {
      const silentMs = clock.monotonicMs() - heard.atMs;
      const leftMs = options.silenceTimeoutSeconds * 1_000 - silentMs;
      if (leftMs <= 0) end("the daemon fell silent");
      else await clock.sleep(leftMs, ended.signal);
    }
    socket.close(outcome.closeCode, "");
    await clock.sleep(CLOSE_GRACE_MS, closed.signal);
  } catch (error) {
    end(errorMessage(error));
  } finally {
    signal.removeEventListener("abort", stop);
    if (!closed.signal.aborted) socket?.terminate?.();
  }
  return outcome.reason;
}

interface Listening {
  ended: AbortSignal;
  closed: AbortController;
  end(reason: string, closeCode?: number): void;
  heard(): void;
}

function listen(socket: SocketLike, state: Listening, conversation: Conversation): void {
  socket.addEventListener("open", () => {
    if (state.ended.aborted) return;
    conversation.onOpen((message) => {
      if (state.ended.aborted) return false;
      socket.send(JSON.stringify(message));
      return true;
    });
  });
  socket.addEventListener("message", ({ data }) => {
    if (state.ended.aborted) return;
    state.heard();
    const problem = receive(data, conversation);
    if (problem !== undefined) {
      state.end(`the daemon broke the protocol: ${problem}`, CLOSE_CODES.protocolError);
    }
  });
  socket.addEventListener("error", ({ message }) => {
    state.end(message === undefined || message === "" ? "connection failed" : message);
  });
  socket.addEventListener("close", ({ code, reason }) => {
    state.closed.abort();
    state.end(`closed by the daemon: ${code}${reason === "" ? "" : ` ${reason}`}`);
  });
}

function receive(data: unknown, conversation: Conversation): string | undefined {
  if (typeof data !== "string") return "a binary message";
  if (data.length > conversation.options.messageBytesMax) return "a message beyond the size limit";
  const parsed = parseJson(data, serverMessageSchema);
  return parsed.ok ? conversation.onMessage(parsed.value) : parsed.message;
}
