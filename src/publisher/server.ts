import { readFile } from "node:fs/promises";
import { createServer, type Server, type ServerOptions } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { AppError, type Clock, errorMessage } from "../core/index.js";
import { Access } from "./access.js";
import { createApp } from "./app.js";
import type { Publisher, PublisherDeps } from "./contract.js";
import {
  type HttpOptions,
  isProtected,
  type PublisherOptions,
  type TlsOptions,
} from "./options.js";
import { createUpdateStream, type UpdateStream } from "./stream.js";
import { refusalOfParser, refuse } from "./upgrade.js";

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
  const access = new Access(options.clients);
  const certificates = await readCertificates(options.tls);
  const stream = createUpdateStream(options, access, deps);
  const app = createApp(stream, access, deps);
  const answer = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = createHttpServer(options.http, certificates);
  server.on("request", (request, response) => void answer(request, response));
  server.on("upgrade", (request, socket, head) => stream.handleUpgrade(request, socket, head));
  countTrouble(server, deps);
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
    setClients(clients) {
      access.replace(clients);
      stream.dismissStrangers();
    },
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

/** Says why, and counts, where a socket never came to a request. */
function countTrouble(server: Server, deps: PublisherDeps): void {
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // A peer that has gone already did nothing that we refuse.
    if (error.code === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    const refusal = refusalOfParser(error.code);
    deps.onEvent?.({ kind: "connection-refused", cause: refusal.cause });
    refuse(socket, refusal);
  });
  server.on("drop", () =>
    deps.onEvent?.({ kind: "connection-refused", cause: "too-many-sockets" }),
  );
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

function refuseUnprotected(options: PublisherOptions): void {
  if (options.allowUnprotected || isProtected(options)) return;
  throw new AppError(
    "LISTEN_UNPROTECTED",
    `listen.host: ${options.host} can be reached from other machines, and anybody there could read ` +
      "plans and models; listen on 127.0.0.1, set both listen.tls and listen.clients, or set " +
      "listen.allowUnprotected: true",
  );
}

interface Certificates {
  cert: string;
  key: string;
  ca: string | undefined;
}

async function readCertificates(tls: TlsOptions | undefined): Promise<Certificates | undefined> {
  if (tls === undefined) return undefined;
  const { certFile, keyFile, clientCaFile } = tls;
  try {
    return {
      cert: await readFile(certFile, "utf8"),
      key: await readFile(keyFile, "utf8"),
      ca: clientCaFile === undefined ? undefined : await readFile(clientCaFile, "utf8"),
    };
  } catch (cause) {
    throw new AppError("LISTEN_FAILED", `listen.tls: ${errorMessage(cause)}`, { cause });
  }
}

function createHttpServer(http: HttpOptions, certificates: Certificates | undefined): Server {
  const limits = {
    maxHeaderSize: http.headerBytesMax,
    headersTimeout: http.headersTimeoutSeconds * 1_000,
    requestTimeout: http.requestTimeoutSeconds * 1_000,
    connectionsCheckingInterval: OVERDUE_CHECK_MS,
  };
  const server =
    certificates === undefined ? createServer(limits) : secureServer(limits, certificates);
  server.timeout = http.idleTimeoutSeconds * 1_000;
  server.maxConnections = http.connectionsMax;
  return server;
}

function secureServer(limits: ServerOptions, { cert, key, ca }: Certificates): Server {
  try {
    // A client without a certificate may still have a token, so none is refused here.
    const asked = ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: false };
    return createSecureServer({ ...limits, cert, key, ...asked, minVersion: "TLSv1.2" });
  } catch (cause) {
    const message = `listen.tls: the certificate or its key is no good: ${errorMessage(cause)}`;
    throw new AppError("LISTEN_FAILED", message, { cause });
  }
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
