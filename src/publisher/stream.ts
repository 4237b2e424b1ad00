import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { type PlanDocument, UPDATES_SUBPROTOCOL } from "../protocol/index.js";
import type { Access } from "./access.js";
import { Connection } from "./connection.js";
import type { PublisherDeps, RolloutInfo, Snapshot, SubscriberInfo } from "./contract.js";
import { openEventSocket } from "./event-socket.js";
import type { FrameCache } from "./frames.js";
import { Hub } from "./hub.js";
import type { PublisherOptions } from "./options.js";
import type { RolloutOutcome } from "./rollout.js";
import { participantsOf } from "./rollouts.js";
import { createGate, type Refusal, refusalOfHandshake, refuse, refuseReader } from "./upgrade.js";
import { ReadyFrameSocket, ReasonedWebSocket } from "./web-socket.js";

const CHECK_INTERVAL_MS_MAX = 1_000;
/** Messages are at most 64 KiB of text, so honest clients need no fragments at all. */
const FRAGMENTS_MAX = 64;
const BUFFERED_CHUNKS_MAX = 1_024;

/** The WebSocket side of the server: all connections, and the newest snapshot they are brought to. */
export interface UpdateStream {
  readonly frames: FrameCache;
  current(): Snapshot | undefined;
  offer(snapshot: Snapshot): void;
  participants(plan: PlanDocument): readonly string[];
  rollOut(plan: PlanDocument, commit: () => Promise<void>): Promise<RolloutOutcome>;
  cancelRollout(pipeline: string, reason: string): void;
  rollouts(): readonly RolloutInfo[];
  subscribers(): readonly SubscriberInfo[];
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Answers a request for server-sent events about these pipelines; undefined: about all. */
  handleReader(
    request: IncomingMessage,
    response: ServerResponse,
    pipelines: string[] | undefined,
  ): void;
  isAllowedOrigin(request: IncomingMessage): boolean;
  /** Closes the connections of those who may no longer have one. */
  dismissStrangers(): void;
  /** Closes all clients with 1001, and destroys those that do not close within the grace. */
  stop(): Promise<void>;
}

export function createUpdateStream(
  options: PublisherOptions,
  access: Access,
  deps: PublisherDeps,
): UpdateStream {
  const { clock } = deps;
  const stopping = new AbortController();
  /** Aborted when the last client is gone after `stop`. */
  const emptied = new AbortController();
  const hub = new Hub(options, deps, () => {
    if (stopping.signal.aborted && hub.connections.size === 0) emptied.abort();
  });
  const { connections, rollouts, runtimes } = hub;
  const gate = createGate(options, access);
  const sockets = createWebSocketServer(options, deps);
  const checks = hub.keepDeadlines(clock, checkIntervalMs(options), stopping.signal);

  return {
    frames: hub.context.frames,
    current: () => hub.snapshot,
    offer: (next) => hub.offer(next),
    participants: (plan) => participantsOf(plan, runtimes.sessions()),
    async rollOut(plan, commit) {
      const outcome = await rollouts.start(plan, commit);
      deps.onEvent?.({ kind: "rollout", result: outcome.kind });
      return outcome;
    },
    cancelRollout: (pipeline, reason) => rollouts.cancel(pipeline, reason),
    rollouts: () => rollouts.list(),
    subscribers: () => [...connections].flatMap((connection) => connection.info ?? []),
    handleUpgrade(request, socket, head) {
      const admission = stopping.signal.aborted ? gate.stopping() : gate.admit(request);
      if (admission.kind === "refused") {
        turnAway(socket, admission, deps);
        return;
      }
      socket.once("close", admission.leave);
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        const frames = new ReadyFrameSocket(webSocket, socket);
        connections.add(new Connection(frames, admission.principal, hub.context));
      });
    },
    handleReader(request, response, pipelines) {
      const admission = stopping.signal.aborted ? gate.stopping() : gate.admitReader(request);
      if (admission.kind === "refused") {
        deps.onEvent?.({ kind: "connection-refused", cause: admission.cause });
        refuseReader(response, admission);
        return;
      }
      response.once("close", admission.leave);
      const socket = openEventSocket(response);
      const connection = new Connection(socket, admission.principal, hub.context);
      connections.add(connection);
      const about = pipelines === undefined ? {} : { pipelines };
      connection.subscribeAs({ type: "subscribe", role: "observer", ...about });
    },
    isAllowedOrigin: (request) => gate.isAllowedOrigin(request),
    dismissStrangers: () => hub.dismiss((principal) => !access.isCurrent(principal)),
    async stop() {
      stopping.abort();
      rollouts.stop();
      await checks;
      for (const connection of connections) connection.close("stopping", "the daemon is stopping");
      if (connections.size === 0) return;
      const allClosed = once(emptied.signal, "abort");
      await clock.sleep(options.stream.closeGraceSeconds * 1_000, emptied.signal);
      for (const connection of connections) connection.terminate();
      await allClosed;
    },
  };
}

function turnAway(socket: Duplex, refusal: Refusal, deps: PublisherDeps): void {
  deps.onEvent?.({ kind: "connection-refused", cause: refusal.cause });
  refuse(socket, refusal);
}

function createWebSocketServer(options: PublisherOptions, deps: PublisherDeps): WebSocketServer {
  const sockets = new WebSocketServer({
    noServer: true,
    WebSocket: ReasonedWebSocket,
    // The stream keeps its own set of connections.
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: options.stream.messageBytesMax,
    maxFragments: FRAGMENTS_MAX,
    maxBufferedChunks: BUFFERED_CHUNKS_MAX,
    handleProtocols: () => UPDATES_SUBPROTOCOL,
  });
  sockets.on("wsClientError", (error, socket) => {
    turnAway(socket, refusalOfHandshake(error), deps);
  });
  return sockets;
}

/** Deadlines are kept to a quarter of the shortest one. */
function checkIntervalMs({ stream, rollout }: PublisherOptions): number {
  const shortestSeconds = Math.min(
    stream.helloTimeoutSeconds,
    stream.flushTimeoutSeconds,
    stream.ackTimeoutSeconds,
    stream.heartbeatSeconds,
    stream.pingSeconds,
    stream.closeGraceSeconds,
    rollout.prepareTimeoutSeconds,
    rollout.activateTimeoutSeconds,
  );
  return Math.min(CHECK_INTERVAL_MS_MAX, (shortestSeconds * 1_000) / 4);
}
