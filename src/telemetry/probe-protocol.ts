/**
 * The probe protocol, over TCP. The client asks, one request at a time; the server answers each.
 * Request, 12 bytes: magic, kind, three zero bytes, length. Reply, 20 bytes: magic, kind, status, two zero
 * bytes, counted bytes, their microseconds, microseconds of the whole burst. All numbers big-endian.
 * `upload` is followed by `length` bytes to the server, a reply to `download` by `length` bytes to the client;
 * both only once the reply says `ok`: to `upload` that is one reply before the burst and one after it.
 * A reply to `open-datagrams` is followed by the token that UDP datagrams must carry; the one to
 * `count-datagrams` has as its counted bytes how many of them have arrived.
 */
const MAGIC = 0x73_50_72_31;
export const REQUEST_BYTES = 12;
export const REPLY_BYTES = 20;

const KINDS = ["echo", "upload", "download", "open-datagrams", "count-datagrams"] as const;
export type ProbeKind = (typeof KINDS)[number];
/** `busy`: another burst is under way here; an echo is answered all the same, but takes longer. */
const STATUSES = ["ok", "refused", "busy"] as const;

export interface ProbeRequest {
  kind: ProbeKind;
  /** Bytes of the burst; 0 for what is none. */
  burstBytes: number;
}

/** Bytes that came after the first half of a burst, and the time they took. */
export interface BurstTiming {
  countedBytes: number;
  countedMs: number;
  /** From the first to the last byte of the burst. */
  wholeMs: number;
}

export interface ProbeReply extends BurstTiming {
  kind: ProbeKind;
  status: (typeof STATUSES)[number];
}

export function encodeRequest({ kind, burstBytes }: ProbeRequest): Uint8Array {
  const view = new DataView(new ArrayBuffer(REQUEST_BYTES));
  view.setUint32(0, MAGIC);
  view.setUint8(4, KINDS.indexOf(kind));
  view.setUint32(8, burstBytes);
  return new Uint8Array(view.buffer);
}

/** Undefined for anything that is not a well-formed request. */
export function decodeRequest(bytes: Uint8Array): ProbeRequest | undefined {
  if (bytes.length !== REQUEST_BYTES) return undefined;
  const view = viewOf(bytes);
  const kind = KINDS[view.getUint8(4)];
  const padded = view.getUint8(5) === 0 && view.getUint16(6) === 0;
  const burstBytes = view.getUint32(8);
  if (view.getUint32(0) !== MAGIC || kind === undefined || !padded) return undefined;
  const isBurst = kind === "upload" || kind === "download";
  return isBurst === burstBytes > 0 ? { kind, burstBytes } : undefined;
}

export function encodeReply(reply: ProbeReply): Uint8Array {
  const view = new DataView(new ArrayBuffer(REPLY_BYTES));
  view.setUint32(0, MAGIC);
  view.setUint8(4, KINDS.indexOf(reply.kind));
  view.setUint8(5, STATUSES.indexOf(reply.status));
  view.setUint32(8, reply.countedBytes);
  view.setUint32(12, toMicroseconds(reply.countedMs));
  view.setUint32(16, toMicroseconds(reply.wholeMs));
  return new Uint8Array(view.buffer);
}

/** Undefined for anything that is not a well-formed reply. */
export function decodeReply(bytes: Uint8Array): ProbeReply | undefined {
  if (bytes.length !== REPLY_BYTES) return undefined;
  const view = viewOf(bytes);
  const kind = KINDS[view.getUint8(4)];
  const status = STATUSES[view.getUint8(5)];
  if (view.getUint32(0) !== MAGIC || kind === undefined || status === undefined) return undefined;
  return {
    kind,
    status,
    countedBytes: view.getUint32(8),
    countedMs: view.getUint32(12) / 1_000,
    wholeMs: view.getUint32(16) / 1_000,
  };
}

/**
 * Times a burst at its receiver. Only the second half counts: the first one shows how a connection
 * gathers speed (TCP's slow start, buffers on the way that fill), not what the link carries.
 */
export function createBurstMeter(burstBytes: number): {
  /** To be called with each chunk and the monotonic time of its arrival. */
  take(chunkBytes: number, nowMs: number): void;
  timing(): BurstTiming;
} {
  let received = 0;
  let firstMs = 0;
  let lastMs = 0;
  let half: { bytes: number; atMs: number } | undefined;
  return {
    take: (chunkBytes, nowMs) => {
      if (received === 0) firstMs = nowMs;
      received += chunkBytes;
      lastMs = nowMs;
      if (half === undefined && received >= burstBytes / 2) half = { bytes: received, atMs: nowMs };
    },
    timing: () => ({
      countedBytes: half === undefined ? 0 : received - half.bytes,
      countedMs: half === undefined ? 0 : lastMs - half.atMs,
      wholeMs: lastMs - firstMs,
    }),
  };
}

/** Megabits per second; undefined where the burst was too short to be timed. */
export function bandwidthMbpsOf({ countedBytes, countedMs }: BurstTiming): number | undefined {
  if (countedBytes <= 0 || countedMs <= 0) return undefined;
  return (countedBytes * 8) / (countedMs * 1_000);
}

const GROWTH_MIN = 2;
const GROWTH_MAX = 16;
/** Aim beyond the target, so that a burst of a slightly faster link still lasts long enough. */
const GROWTH_MARGIN = 1.5;

/** Bytes of the next burst, or undefined when this one lasted long enough or cannot grow. */
export function nextBurstBytes(
  burstBytes: number,
  wholeMs: number,
  options: { burstTargetMs: number; burstBytesMax: number },
): number | undefined {
  if (wholeMs >= options.burstTargetMs || burstBytes >= options.burstBytesMax) return undefined;
  const factor = (options.burstTargetMs * GROWTH_MARGIN) / Math.max(wholeMs, 0.001);
  const growth = Math.min(GROWTH_MAX, Math.max(GROWTH_MIN, factor));
  return Math.min(options.burstBytesMax, Math.ceil(burstBytes * growth));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function toMicroseconds(durationMs: number): number {
  return Math.min(0xffff_ffff, Math.round(durationMs * 1_000));
}
