import { AppError } from "../core/index.js";
import { writeBurst } from "./byte-stream.js";
import {
  type BurstTiming,
  bandwidthMbpsOf,
  createBurstMeter,
  nextBurstBytes,
} from "./probe-protocol.js";
import { ask, readReply, type Session } from "./probe-session.js";

const BUSY_PAUSE_MS = 60;
const BUSY_PAUSE_MS_MAX = 2_000;

type Direction = "upload" | "download";

/** Megabits per second in one direction; undefined where no burst could be sent, or timed. */
export async function measureBandwidth(
  session: Session,
  direction: Direction,
): Promise<number | undefined> {
  const { options, spend } = session;
  let bandwidthMbps: number | undefined;
  let burstBytes: number | undefined = options.burstBytesMin;
  while (burstBytes !== undefined) {
    if (!spend(burstBytes)) return bandwidthMbps;
    const timing = await politely(session, direction, burstBytes);
    if (timing === undefined) return bandwidthMbps;
    bandwidthMbps = bandwidthMbpsOf(timing) ?? bandwidthMbps;
    burstBytes = nextBurstBytes(burstBytes, timing.wholeMs, options);
  }
  return bandwidthMbps;
}

/** Sends one burst when neither end has another one under way; undefined when that takes too long. */
async function politely(
  session: Session,
  direction: Direction,
  burstBytes: number,
): Promise<BurstTiming | undefined> {
  const { gate, clock, random, options, signal } = session;
  for (let attempt = 0; attempt <= options.busyRetries; attempt += 1) {
    const leave = gate.enter();
    if (leave !== undefined) {
      try {
        const timing = await burst(session, direction, burstBytes);
        if (timing !== "busy") return timing;
      } finally {
        leave();
      }
    }
    // Two that met must not meet again, so the pause is random.
    const pauseMs = Math.min(BUSY_PAUSE_MS * 2 ** attempt, BUSY_PAUSE_MS_MAX);
    await clock.sleep(pauseMs * (0.5 + random()), signal);
  }
  return undefined;
}

async function burst(
  session: Session,
  direction: Direction,
  burstBytes: number,
): Promise<BurstTiming | "busy"> {
  const { stream, clock } = session;
  const { status } = await ask(stream, direction, burstBytes);
  if (status === "busy") return "busy";
  if (direction === "upload") return uploaded(session, burstBytes);
  const meter = createBurstMeter(burstBytes);
  await stream.consume(burstBytes, (chunk) => meter.take(chunk.length, clock.monotonicMs()));
  return meter.timing();
}

async function uploaded(session: Session, burstBytes: number): Promise<BurstTiming> {
  const { stream, clock, pattern } = session;
  const startMs = clock.monotonicMs();
  const [reply] = await Promise.all([
    readReply(stream, "upload"),
    writeBurst(stream, burstBytes, pattern),
  ]);
  const elapsedMs = clock.monotonicMs() - startMs;
  const possible =
    reply.countedBytes <= burstBytes &&
    reply.countedMs <= reply.wholeMs &&
    reply.wholeMs <= elapsedMs + 1;
  if (!possible) throw new AppError("STREAM_PROTOCOL", "the peer reports an impossible timing");
  return reply;
}
