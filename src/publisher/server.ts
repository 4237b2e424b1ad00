import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { AppError, type Clock, errorMessage, isLoopback } from "../core/index.js";
import { createApp } from "./app.js";
import type { Publisher, PublisherDeps } from "./contract.js";
import type { HttpOptions, PublisherOptions } from "./options.js";
import { createUpdateStream, type UpdateStream } from "./stream.js";

/** How often Node looks for requests that are overdue. */
const OVERDUE_CHECK_MS = 1_000;
const IDLE_POLL_MS = 20;

/**
 * Opens the port and serves until `stop`.
 * Rejects with LISTEN_UNPROTECTED beyond loopback unless allowed, and LISTEN_FAILED when the port
 * cannot be opened.
 */
export async function startPublisher(
  options: PublisherOptions,
  deps: PublisherDeps,
): Promise<Publisher> {
  refuseUnprotected(options);
  const stream = createUpdateStream(options, deps);
  const app = createApp(stream, deps);
  const answer = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = createHttpServer(options.http);
  server.on("request", (request, response) => void answer(request, response));
  server.on("upgrade", (request, socket, head) => stream.handleUpgrade(request, socket, head));
  try {
    await listen(server, options);
  } catch (cause) {
    await stream.stop();
    throw cause;
  }
  let stopped: Promise<void> | undefined;
  return {
    port: (server.address() as AddressInfo).port,
    offer: (snapshot) => stream.offer(snapshot),
    participants: (plan) => stream.participants(plan),
    rollOut: (plan, commit) => stream.rollOut(plan, commit),
    cancelRollout: (pipeline, reason) => stream.cancelRollout(pipeline, reason),
    rollouts: () => stream.rollouts(),
    subscribers: () => stream.subscribers().length,
    subscriberList: () => stream.subscribers(),
    stop() {
      stopped ??= stopServing(server, stream, {
        clock: deps.clock,
        graceMs: options.stream.closeGraceSeconds * 1_000,
      });
      return stopped;
    },
  };
}

/** No new connections; subscribers are told; downloads have the same grace to end. */
async function stopServing(
  server: Server,
  stream: UpdateStream,
  { clock, graceMs }: { clock: Clock; graceMs: number },
): Promise<void> {
  const closed = new AbortController();
  const whenClosed = new Promise<void>((resolve) => {
    server.close(() => {
      closed.abort();
      resolve();
    });
  });
  const streamStopped = stream.stop();
  const deadlineMs = clock.monotonicMs() + graceMs;
  while (!closed.signal.aborted && clock.monotonicMs() < deadlineMs) {
    // Node closes the sockets that are idle now, but not those whose answer is just ending.
    server.closeIdleConnections();
    await clock.sleep(IDLE_POLL_MS, closed.signal);
  }
  await streamStopped;
  server.closeAllConnections();
  await whenClosed;
}

function refuseUnprotected({ host, allowUnprotected }: PublisherOptions): void {
  if (allowUnprotected || isLoopback(host)) return;
  throw new AppError(
    "LISTEN_UNPROTECTED",
    `listen.host: ${host} can be reached from other machines, and anybody there could read ` +
      "plans and models; listen on 127.0.0.1, or set listen.allowUnprotected: true",
  );
}

function createHttpServer(http: HttpOptions): Server {
  const server = createServer({
    maxHeaderSize: http.headerBytesMax,
    headersTimeout: http.headersTimeoutSeconds * 1_000,
    requestTimeout: http.requestTimeoutSeconds * 1_000,
    connectionsCheckingInterval: OVERDUE_CHECK_MS,
  });
  server.timeout = http.idleTimeoutSeconds * 1_000;
  server.maxConnections = http.connectionsMax;
  return server;
}

async function listen(server: Server, { host, port }: PublisherOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  }).catch((cause: unknown) => {
    throw new AppError(
      "LISTEN_FAILED",
      `cannot listen on ${host} port ${port}: ${errorMessage(cause)}; ` +
        "is another daemon running? set listen.port to a free one",
      { cause },
    );
  });
}
