import { AppError, type Clock, errorMessage, type Random, systemClock } from "../core/index.js";
import type { TlsOptions } from "../https/options.js";
import {
  type ClientMessage,
  type PlanDocument,
  parseValue,
  type ReportMessage,
  type SubscribeMessage,
  subscribeMessageSchema,
  UPDATES_PATH,
} from "../protocol/index.js";
import type { PlanCache } from "./cache.js";
import { converse } from "./connection.js";
import { type Intake, takeIn } from "./intake.js";
import { type ConnectionOptions, connectionOptionsSchema } from "./options.js";
import { Preparations, type RuntimeHooks } from "./preparations.js";
import { type Change, type Delivery, Replica } from "./replica.js";
import { openSocket, type SocketFactory } from "./socket.js";

const REASON_CHARACTERS_MAX = 1_000;

/** A change, and the way to refuse it. */
export type Update = Change & {
  /** `cache`: the plans of an earlier run, before the daemon has said anything. */
  origin: "daemon" | "cache";
  /**
   * For a runtime that cannot use what it was given: it keeps what it had, the daemon learns why, and
   * `plans` of later updates are without this change. Call it before asking for the next update.
   */
  reject(reason: string): void;
};

export type ConnectionState =
  | { kind: "connected" }
  | { kind: "disconnected"; reason: string; retryInMs: number };

export interface SubscribeOptions extends RuntimeHooks {
  /** A runtime acknowledges each update; an observer (the default) is not waited for. */
  role?: "runtime" | "observer";
  /** The node that this runtime runs on. With it, the runtime takes part in switches of all nodes at once. */
  node?: string;
  /**
   * Put a changed plan in force, before the update that says so. A rejection refuses the update, which
   * then does not appear. What `prepare` loaded for the plan is to be used.
   */
  activate?(plan: PlanDocument): Promise<void> | void;
  /** Absent: all. */
  pipelines?: readonly string[];
  /** Bearer token, where the daemon asks for one. */
  token?: string;
  /** Certificates for `https:` and `wss:`. In Node only. */
  tls?: TlsOptions;
  /** Plans known from an earlier run; they are not sent again while they are still in force. */
  have?: readonly PlanDocument[];
  /**
   * Keeps the plans in force over restarts. What it holds is the first update, so that a runtime can
   * begin although no daemon answers, and is sent as `have`.
   */
  cache?: PlanCache;
  /** The cache could not be written; the subscription goes on without. */
  onCacheError?(error: unknown): void;
  /** Ends the iteration. */
  signal?: AbortSignal;
  connection?: Partial<ConnectionOptions>;
  onConnection?(state: ConnectionState): void;
  clock?: Clock;
  random?: Random;
  openSocket?: SocketFactory;
}

/** Measurements of a runtime: the message without its type. */
export type Report = Omit<ReportMessage, "type">;

export interface Subscription extends AsyncIterable<Update> {
  /** Sends measurements, where a connection is open; false where none is, and they are dropped. */
  report(report: Report): boolean;
}

/** `subscribe` of both entries, without what each checks of `tls`. */
export function subscribe(url: string, options: SubscribeOptions = {}): Subscription {
  const target = updatesUrl(url);
  const hello = parseValue(helloOf(options, undefined), subscribeMessageSchema);
  if (!hello.ok) throw new AppError("USAGE", `cannot subscribe: ${hello.message}`);
  const connection = connectionOptionsSchema.parse(options.connection ?? {});
  let newest: Link | undefined;
  return {
    [Symbol.asyncIterator]() {
      newest = createLink(new Replica(options.have ?? []), new Preparations(options), options.role);
      return withCache(newest, { url: target, connection, options });
    },
    report: (report) => newest?.send({ type: "report", ...report }) ?? false,
  };
}

/** Begins with what the cache holds, and keeps it up to date. */
async function* withCache(
  link: Link,
  context: Omit<Connecting, "signal">,
): AsyncGenerator<Update, void, void> {
  const { options } = context;
  const cached = (await options.cache?.load()) ?? [];
  const change = link.replica.restore(cached);
  if (change !== undefined && options.signal?.aborted !== true) {
    let rejection = await activate(change, options);
    const reject = (reason: string): void => {
      rejection ??= reason;
    };
    if (rejection === undefined) yield { ...change, origin: "cache", reject };
    if (rejection === undefined) link.replica.commit(change);
  }
  yield* follow(link, context);
}

async function* follow(
  link: Link,
  { url, connection, options }: Omit<Connecting, "signal">,
): AsyncGenerator<Update, void, void> {
  const stop = new AbortController();
  const onAbort = (): void => stop.abort();
  options.signal?.addEventListener("abort", onAbort, { once: true });
  if (options.signal?.aborted === true) stop.abort();
  // A fault in here must end the iteration, not be lost.
  const connecting = keepConnected(link, { url, connection, options, signal: stop.signal }).finally(
    () => stop.abort(),
  );
  stop.signal.addEventListener("abort", () => link.wake(), { once: true });
  try {
    while (!stop.signal.aborted) {
      const delivery = link.replica.take();
      if (delivery === undefined) {
        await link.changed();
        continue;
      }
      const answer = link.answerTo(delivery);
      if (delivery.change === undefined) {
        answer(undefined);
        continue;
      }
      const { change } = delivery;
      let rejection = await activate(change, options);
      const reject = (reason: string): void => {
        rejection ??= reason.slice(0, REASON_CHARACTERS_MAX);
      };
      if (rejection === undefined) yield { ...change, origin: "daemon", reject };
      if (rejection === undefined) {
        link.replica.commit(change);
        await remember(change, options);
      }
      answer(rejection);
    }
  } finally {
    stop.abort();
    link.preparations.stop();
    options.signal?.removeEventListener("abort", onAbort);
    await connecting;
  }
}

async function remember({ plans }: Change, options: SubscribeOptions): Promise<void> {
  try {
    await options.cache?.save([...plans.values()]);
  } catch (error) {
    options.onCacheError?.(error);
  }
}

/** Why the consumer cannot put the change in force; undefined where it can. */
async function activate(change: Change, options: SubscribeOptions): Promise<string | undefined> {
  try {
    for (const plan of changedPlans(change)) await options.activate?.(plan);
    return undefined;
  } catch (error) {
    return errorMessage(error).slice(0, REASON_CHARACTERS_MAX);
  }
}

function changedPlans(change: Change): readonly PlanDocument[] {
  switch (change.kind) {
    case "snapshot":
      return change.changed;
    case "update":
      return [change.plan];
    case "removed":
      return [];
  }
}

/** What the connecting side and the consuming side share. */
interface Link extends Intake {
  /** A new connection is open. */
  opened(send: (message: ClientMessage) => boolean): void;
  /** Answers a frame on the connection that is open now, and on no later one. */
  answerTo(delivery: Delivery): (rejection: string | undefined) => void;
  /** False where no connection is open. */
  send(message: ClientMessage): boolean;
  /** Resolves at the next `wake`. */
  changed(): Promise<void>;
  wake(): void;
}

function createLink(
  replica: Replica,
  preparations: Preparations,
  role: SubscribeOptions["role"],
): Link {
  let send: ((message: ClientMessage) => boolean) | undefined;
  let wake = (): void => undefined;
  return {
    replica,
    preparations,
    opened(newSend) {
      send = newSend;
    },
    answerTo({ nonce, answer }) {
      const sendHere = role === "runtime" ? send : undefined;
      return (rejection) =>
        sendHere?.(
          rejection === undefined
            ? { type: answer, nonce }
            : { type: "reject", nonce, reason: rejection },
        );
    },
    send: (message) => send?.(message) ?? false,
    changed: () =>
      new Promise((resolve) => {
        wake = resolve;
      }),
    wake: () => wake(),
  };
}

interface Connecting {
  url: string;
  connection: ConnectionOptions;
  options: SubscribeOptions;
  signal: AbortSignal;
}

async function keepConnected(link: Link, connecting: Connecting): Promise<void> {
  const { url, connection, options, signal } = connecting;
  const clock = options.clock ?? systemClock;
  const random = options.random ?? platformRandom;
  let failures = 0;
  while (!signal.aborted) {
    const startedMs = clock.monotonicMs();
    const reason = await converse({
      url,
      options: connection,
      clock,
      openSocket: options.openSocket ?? openSocket,
      token: options.token,
      tls: options.tls,
      signal,
      onOpen(send) {
        link.opened(send);
        send(helloOf(options, haveOf(link)));
      },
      onMessage(message) {
        const problem = takeIn(message, link, (answer) => link.send(answer));
        if (problem !== undefined) return problem;
        if (message.type === "snapshot") options.onConnection?.({ kind: "connected" });
        link.wake();
        return undefined;
      },
    });
    if (reason === undefined) return;
    // Only a connection that lasted counts as a success: one that is dropped at once must back off.
    const lastedMs = clock.monotonicMs() - startedMs;
    failures = lastedMs >= connection.reconnectMaxSeconds * 1_000 ? 1 : failures + 1;
    const retryInMs = random() * waitMsMax(failures, connection);
    options.onConnection?.({ kind: "disconnected", reason, retryInMs });
    await clock.sleep(retryInMs, signal);
  }
}

/** What the subscriber has, at the beginning of a connection. */
function haveOf({ replica, preparations }: Link): SubscribeMessage["have"] {
  const have = replica.reconnect();
  const prepared = preparations.reconnect(have?.epoch);
  if (have === undefined || Object.keys(prepared).length === 0) return have;
  return { ...have, prepared };
}

/** Full jitter: the wait is uniform between 0 and this. */
function waitMsMax(failures: number, connection: ConnectionOptions): number {
  const { reconnectMinSeconds, reconnectMaxSeconds } = connection;
  return Math.min(reconnectMaxSeconds, reconnectMinSeconds * 2 ** (failures - 1)) * 1_000;
}

function helloOf(options: SubscribeOptions, have: SubscribeMessage["have"]): SubscribeMessage {
  return {
    type: "subscribe",
    role: options.role ?? "observer",
    ...(options.node === undefined ? {} : { node: options.node }),
    ...(options.pipelines === undefined ? {} : { pipelines: [...options.pipelines] }),
    ...(have === undefined ? {} : { have }),
  };
}

function updatesUrl(text: string): string {
  if (!URL.canParse(text)) throw new AppError("USAGE", `${text} is no URL; use http://HOST:PORT`);
  const url = new URL(text);
  if (!["http:", "https:", "ws:", "wss:"].includes(url.protocol)) {
    throw new AppError("USAGE", `${text}: use http://HOST:PORT`);
  }
  url.protocol = url.protocol.replace("http", "ws");
  if (url.pathname === "/") url.pathname = UPDATES_PATH;
  url.hash = "";
  return url.href;
}

/** Spreads reconnecting clients; both Node and browsers have it. */
function platformRandom(): number {
  const [word = 0] = globalThis.crypto.getRandomValues(new Uint32Array(1));
  return word / 2 ** 32;
}
