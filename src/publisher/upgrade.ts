import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { UPDATES_PATH, UPDATES_SUBPROTOCOL } from "../protocol/index.js";
import type { Access, Principal } from "./access.js";
import type { RefusalCause } from "./contract.js";
import type { PublisherOptions } from "./options.js";

/** Those that `ws` speaks. */
const WEBSOCKET_VERSIONS = "13, 8";

export interface Refusal {
  kind: "refused";
  cause: RefusalCause;
  status: number;
  code: string;
  message: string;
}

/** `leave` gives the place back; call it once, when the socket has closed. */
export type Admission = { kind: "admitted"; principal: Principal; leave: () => void } | Refusal;

/** Decides who may open the update stream, before a WebSocket exists. */
export interface Gate {
  /** For a WebSocket. */
  admit(request: IncomingMessage): Admission;
  /** For server-sent events. */
  admitReader(request: IncomingMessage): Admission;
  /** Whether the page that sends this, if it is one, may act. */
  isAllowedOrigin(request: IncomingMessage): boolean;
  stopping(): Refusal;
}

export function createGate(options: PublisherOptions, access: Access): Gate {
  const { subscribersMax, subscribersPerAddressMax } = options.stream;
  const countByAddress = new Map<string, number>();
  let total = 0;

  function leave(address: string): void {
    total -= 1;
    const left = (countByAddress.get(address) ?? 1) - 1;
    if (left === 0) countByAddress.delete(address);
    else countByAddress.set(address, left);
  }

  function admitAnybody(request: IncomingMessage): Admission {
    const refusal = wrongOrigin(request, options);
    if (refusal !== undefined) return refusal;
    const principal = access.identify(request);
    if (principal === undefined) {
      return refused("unauthorized", 401, "give a bearer token or a client certificate");
    }
    if (total >= subscribersMax) {
      return refused("too-many", 503, `all ${subscribersMax} places are taken; try later`);
    }
    const address = request.socket.remoteAddress ?? "";
    const count = countByAddress.get(address) ?? 0;
    if (count >= subscribersPerAddressMax) {
      const message = `${subscribersPerAddressMax} connections from this address already`;
      return refused("too-many-from-address", 429, message);
    }
    total += 1;
    countByAddress.set(address, count + 1);
    return { kind: "admitted", principal, leave: () => leave(address) };
  }

  return {
    admit: (request) => wrongRequest(request) ?? admitAnybody(request),
    admitReader: (request) => admitAnybody(request),
    isAllowedOrigin: (request) => wrongOrigin(request, options) === undefined,
    stopping: () => refused("too-many", 503, "the daemon is stopping"),
  };
}

/** Answers an upgrade with an HTTP error and closes the socket. */
export function refuse(socket: Duplex, refusal: Refusal): void {
  const body = bodyOf(refusal);
  const headers = Object.entries({ ...headersOf(refusal), Connection: "close" });
  const head = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ""}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  // The peer may be gone already; a failed answer to a refused client concerns nobody.
  socket.on("error", () => undefined);
  socket.once("finish", () => socket.destroy());
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

/** Why a socket brought no request at all, by the code of Node's parser. */
export function refusalOfParser(code: string | undefined): Refusal {
  if (code === "HPE_HEADER_OVERFLOW") {
    return refused("headers-too-large", 431, "the headers are too large");
  }
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return refused("headers-timeout", 408, "the request did not come in time");
  }
  return refused("bad-http", 400, "this is no HTTP request");
}

/** Why `ws` takes an upgrade that the gate let pass for no handshake: a wrong version, key or method. */
export function refusalOfHandshake({ message }: Error): Refusal {
  return refused("bad-handshake", 400, message);
}

/** Answers a plain request with an HTTP error. */
export function refuseReader(response: ServerResponse, refusal: Refusal): void {
  response.writeHead(refusal.status, headersOf(refusal));
  response.end(bodyOf(refusal));
}

function bodyOf({ code, message }: Refusal): string {
  return JSON.stringify({ error: { code, message } });
}

function headersOf({ status, cause }: Refusal): Record<string, string> {
  const challenge = status === 401 ? { "WWW-Authenticate": "Bearer" } : {};
  // RFC 6455, 4.4: a client of another version learns by this which ones it may speak.
  const versions = cause === "bad-handshake" ? { "Sec-WebSocket-Version": WEBSOCKET_VERSIONS } : {};
  return { "Content-Type": "application/json", ...challenge, ...versions };
}

function wrongRequest(request: IncomingMessage): Refusal | undefined {
  if (pathOf(request) !== UPDATES_PATH) {
    return refused("wrong-path", 404, `the update stream is at ${UPDATES_PATH}`);
  }
  if (request.headers.upgrade?.toLowerCase() !== "websocket") {
    return refused("bad-handshake", 400, "only upgrades to websocket are served here");
  }
  // ws accepts a client that offers no subprotocol at all, so it is checked here.
  const offered = request.headers["sec-websocket-protocol"] ?? "";
  if (!offered.split(",").some((protocol) => protocol.trim() === UPDATES_SUBPROTOCOL)) {
    return refused("wrong-subprotocol", 400, `offer the subprotocol ${UPDATES_SUBPROTOCOL}`);
  }
  return undefined;
}

/** Only browsers send an Origin. Their pages must come from this server or be named in the options. */
function wrongOrigin(request: IncomingMessage, options: PublisherOptions): Refusal | undefined {
  const { origin, host } = request.headers;
  if (origin === undefined) return undefined;
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  if (url !== undefined) {
    const allowed = options.allowedOrigins.some((each) => new URL(each).origin === url.origin);
    if (allowed || (url.host === host && isOwnName(url.hostname, options))) return undefined;
  }
  return refused("origin", 403, "pages of this origin may not open the update stream");
}

/** A foreign name that merely resolves to this machine (DNS rebinding) is not this server. */
function isOwnName(hostname: string, options: PublisherOptions): boolean {
  const address = hostname.replace(/^\[|\]$/g, "");
  return address === "localhost" || address === options.host || isIP(address) !== 0;
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}

function refused(cause: RefusalCause, status: number, message: string): Refusal {
  return {
    kind: "refused",
    cause,
    status,
    code: cause.replaceAll("-", "_").toUpperCase(),
    message,
  };
}
