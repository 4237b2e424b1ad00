import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock, Logger } from "../core/index.js";

/**
 * Datagrams of loss probes, 64 bytes each: magic, number, token, zeros. The server answers each with
 * the very same bytes, so an answer is never larger than its request; and only to the address that
 * opened the session over TCP, so that nobody else can be made to receive it.
 */
const MAGIC = 0x73_50_75_31;
export const DATAGRAM_BYTES = 64;
export const TOKEN_BYTES = 16;
/** IP and UDP headers of one, for the data budget. */
export const DATAGRAM_WIRE_BYTES = DATAGRAM_BYTES + 28;
const TOKEN_OFFSET = 8;
/** Datagrams that one session may send. */
export const SESSION_DATAGRAMS_MAX = 1_000;
const SESSIONS_MAX = 64;
const LAST_WAIT_MS_MIN = 100;

export function encodeDatagram(token: Uint8Array, number: number): Buffer {
  const datagram = Buffer.alloc(DATAGRAM_BYTES);
  datagram.writeUInt32BE(MAGIC, 0);
  datagram.writeUInt32BE(number, 4);
  datagram.set(token.subarray(0, TOKEN_BYTES), TOKEN_OFFSET);
  return datagram;
}

/** Its number; undefined for anything that is no datagram with this token. */
export function decodeDatagram(bytes: Buffer, token: Uint8Array): number | undefined {
  if (bytes.length !== DATAGRAM_BYTES || bytes.readUInt32BE(0) !== MAGIC) return undefined;
  const theirs = bytes.subarray(TOKEN_OFFSET, TOKEN_OFFSET + TOKEN_BYTES);
  return timingSafeEqual(theirs, token) ? bytes.readUInt32BE(4) : undefined;
}

export interface DatagramSession {
  readonly token: Uint8Array;
  /** Datagrams that arrived here, each number once. */
  received(): number;
  end(): void;
}

export interface DatagramEcho {
  /** Undefined where there are too many. `address` is where datagrams must come from. */
  open(address: string): DatagramSession | undefined;
  stop(): Promise<void>;
}

interface SessionState {
  token: Uint8Array;
  address: string;
  numbers: Set<number>;
  answered: number;
}

/** Listens on the UDP port beside a probe server's; undefined where it cannot. */
export async function startDatagramEcho(
  address: { host: string; port: number },
  { log }: { log: Logger },
): Promise<DatagramEcho | undefined> {
  const socket = createSocket(address.host.includes(":") ? "udp6" : "udp4");
  const sessions = new Map<string, SessionState>();
  try {
    await bind(socket, address);
  } catch (error) {
    log.warn({ err: error, port: address.port }, "no UDP port: peers cannot measure loss here");
    socket.close();
    return undefined;
  }
  socket.on("error", (error) => log.debug({ err: error }, "a datagram failed"));
  socket.on("message", (bytes, from) => {
    const session = sessionOf(sessions, bytes, from);
    if (session !== undefined) socket.send(bytes, from.port, from.address, () => undefined);
  });
  return {
    open: (peer) => {
      if (sessions.size >= SESSIONS_MAX) return undefined;
      const token = randomBytes(TOKEN_BYTES);
      const key = token.toString("hex");
      const session = {
        token,
        address: plainAddress(peer),
        numbers: new Set<number>(),
        answered: 0,
      };
      sessions.set(key, session);
      return {
        token,
        received: () => session.numbers.size,
        end: () => void sessions.delete(key),
      };
    },
    stop: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

/** The session whose datagram this is, and that may have one more answer. */
function sessionOf(
  sessions: ReadonlyMap<string, SessionState>,
  bytes: Buffer,
  from: RemoteInfo,
): SessionState | undefined {
  if (bytes.length !== DATAGRAM_BYTES) return undefined;
  const key = bytes.toString("hex", TOKEN_OFFSET, TOKEN_OFFSET + TOKEN_BYTES);
  const session = sessions.get(key);
  if (session === undefined || plainAddress(from.address) !== session.address) return undefined;
  const number = decodeDatagram(bytes, session.token);
  if (number === undefined || session.answered >= SESSION_DATAGRAMS_MAX) return undefined;
  session.answered += 1;
  session.numbers.add(number);
  return session;
}

/** Sends `count` datagrams, evenly spaced, and counts the answers. 0 also where there is no way. */
export async function echoDatagrams(
  peer: { host: string; port: number; token: Uint8Array },
  { count, spacingMs, rttMs }: { count: number; spacingMs: number; rttMs: number },
  { clock, signal }: { clock: Clock; signal?: AbortSignal | undefined },
): Promise<number> {
  const socket = createSocket(peer.host.includes(":") ? "udp6" : "udp4");
  const answered = new Set<number>();
  socket.on("error", () => undefined);
  socket.on("message", (bytes) => {
    const number = decodeDatagram(bytes, peer.token);
    if (number !== undefined && number < count) answered.add(number);
  });
  try {
    for (let number = 0; number < count && signal?.aborted !== true; number += 1) {
      socket.send(encodeDatagram(peer.token, number), peer.port, peer.host, () => undefined);
      await clock.sleep(spacingMs, signal);
    }
    const lastMs = clock.monotonicMs() + Math.max(LAST_WAIT_MS_MIN, 2 * rttMs);
    while (answered.size < count && clock.monotonicMs() < lastMs && signal?.aborted !== true) {
      await clock.sleep(spacingMs, signal);
    }
    return answered.size;
  } finally {
    socket.close();
  }
}

/**
 * Loss in each direction, in percent, of datagrams of which `received` arrived there and `answered` came
 * back. Undefined where none came back: TCP just worked, so UDP is blocked rather than the link dead.
 */
export function lossOf(
  sent: number,
  { received, answered }: { received: number; answered: number },
): { upPercent: number; downPercent: number } | undefined {
  if (answered === 0 || received < answered || received > sent) return undefined;
  return {
    upPercent: 100 * (1 - received / sent),
    downPercent: 100 * (1 - answered / received),
  };
}

function bind(socket: Socket, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, host, () => {
      socket.off("error", reject);
      resolve();
    });
  });
}

/** IPv4 addresses look different on a socket that also takes IPv6. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:/, "");
}
