import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { UPDATES_SUBPROTOCOL } from "../protocol/index.js";
import { Connection, type ConnectionContext } from "./connection.js";
import type { PublisherDeps, Snapshot, SubscriberInfo } from "./contract.js";
import { FrameCache } from "./frames.js";
import type { PublisherOptions } from "./options.js";
import { createBroadcast, inTurns } from "./turns.js";
import { createGate, refuse } from "./upgrade.js";

const CHECK_INTERVAL_MS_MAX = 1_000;
/** Messages are at most 64 KiB of text, so honest clients need no fragments at all. */
const FRAGMENTS_MAX = 64;
const BUFFERED_CHUNKS_MAX = 1_024;

/** The WebSocket side of the server: all connections, and the newest snapshot they are brought to. */
export interface UpdateStream {
  readonly frames: FrameCache;
  current(): Snapshot | undefined;
  offer(snapshot: Snapshot): void;
  subscribers(): readonly SubscriberInfo[];
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes all clients with 1001, and destroys those that do not close within the grace. */
  stop(): Promise<void>;
}

export function createUpdateStream(options: PublisherOptions, deps: PublisherDeps): UpdateStream {
  const { clock, log } = deps;
  const stopping = new AbortController();
  /** Aborted when the last client is gone after `stop`. */
  const emptied = new AbortController();
  const connections = new Set<Connection>();
  const frames = new FrameCache(Math.floor(deps.random() * 36 ** 6).toString(36));
  const gate = createGate(options);
  const sockets = createWebSocketServer(options);
  let snapshot: Snapshot | undefined;

  const context: ConnectionContext = {
    options: options.stream,
    clock,
    log,
    frames,
    current: () => snapshot,
    onEvent: (event) => deps.onEvent?.(event),
    onReject: (rejection) => deps.onReject?.(rejection),
    onClosed(connection) {
      connections.delete(connection);
      if (stopping.signal.aborted && connections.size === 0) emptied.abort();
    },
  };

  const requestBroadcast = createBroadcast(connections, (connection) => connection.pump());

  async function checkUntilStopped(): Promise<void> {
    const intervalMs = checkIntervalMs(options);
    while (!stopping.signal.aborted) {
      await clock.sleep(intervalMs, stopping.signal);
      await inTurns(connections, (connection) => connection.check());
    }
  }
  const checks = checkUntilStopped();

  return {
    frames,
    current: () => snapshot,
    offer(next) {
      assertConsistent(next, snapshot);
      snapshot = next;
      requestBroadcast();
    },
    subscribers: () => [...connections].flatMap((connection) => connection.info ?? []),
    handleUpgrade(request, socket, head) {
      const admission = stopping.signal.aborted ? gate.stopping() : gate.admit(request);
      if (admission.kind === "refused") {
        deps.onEvent?.({ kind: "connection-refused", cause: admission.cause });
        refuse(socket, admission);
        return;
      }
      socket.once("close", admission.leave);
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        connections.add(new Connection(webSocket, context));
      });
    },
    async stop() {
      stopping.abort();
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

function createWebSocketServer(options: PublisherOptions): WebSocketServer {
  return new WebSocketServer({
    noServer: true,
    // The stream keeps its own set of connections.
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: options.stream.messageBytesMax,
    maxFragments: FRAGMENTS_MAX,
    maxBufferedChunks: BUFFERED_CHUNKS_MAX,
    handleProtocols: () => UPDATES_SUBPROTOCOL,
  });
}

/** Deadlines are kept to a quarter of the shortest one. */
function checkIntervalMs(options: PublisherOptions): number {
  const { stream } = options;
  const shortestSeconds = Math.min(
    stream.helloTimeoutSeconds,
    stream.flushTimeoutSeconds,
    stream.ackTimeoutSeconds,
    stream.heartbeatSeconds,
    stream.pingSeconds,
    stream.closeGraceSeconds,
  );
  return Math.min(CHECK_INTERVAL_MS_MAX, (shortestSeconds * 1_000) / 4);
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
