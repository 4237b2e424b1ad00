import { connect, type Socket } from "node:net";
import { mean, median } from "simple-statistics";
import { AppError, errorMessage } from "../core/index.js";
import type { LinkReport } from "../protocol/index.js";
import { createBurstGate } from "./burst-gate.js";
import { ByteStream, burstPattern } from "./byte-stream.js";
import { DATAGRAM_WIRE_BYTES, echoDatagrams, lossOf, TOKEN_BYTES } from "./datagrams.js";
import type { ProbeOptions } from "./options.js";
import { measureBandwidth } from "./probe-bursts.js";
import { ask, type ProbeDeps, type Session } from "./probe-session.js";

const DATAGRAM_SPACING_MS = 5;

export interface ProbeResult {
  /** From this node to the peer. */
  up: LinkReport;
  /** From the peer to this node. */
  down: LinkReport;
}

/**
 * Measures the link to a peer's probe server: round trips while the connection is idle (median, and
 * their jitter), loss by UDP datagrams, then the bandwidth in each direction by bursts that grow until
 * one lasts long enough, timed at the receiver. Loss is left out where no UDP passes; it and bandwidth
 * also where `spend` refuses, or another probe keeps either end busy. Rejects (ABORTED,
 * STREAM_PROTOCOL) when the peer cannot be reached, refuses, or takes longer than `timeoutMs`.
 */
export async function probeLink(
  peer: { host: string; port: number },
  options: ProbeOptions,
  deps: ProbeDeps,
): Promise<ProbeResult> {
  const where = `${peer.host}:${peer.port}`;
  const socket = connect({ host: peer.host, port: peer.port, noDelay: true });
  const done = new AbortController();
  let reason: string | undefined;
  const giveUp = (why: string): void => {
    reason ??= why;
    socket.destroy();
  };
  const expire = (limitMs: number, when: () => boolean): void => {
    void deps.clock.sleep(limitMs, done.signal).then(() => {
      if (!done.signal.aborted && when()) giveUp(`no answer within ${limitMs} ms`);
    });
  };
  const abort = (): void => giveUp("the program is stopping");
  deps.signal?.addEventListener("abort", abort, { once: true });
  if (deps.signal?.aborted === true) abort();
  expire(options.connectTimeoutMs, () => socket.connecting);
  expire(options.timeoutMs, () => true);
  const session: Session = {
    stream: new ByteStream(socket),
    options,
    clock: deps.clock,
    random: deps.random,
    pattern: burstPattern(deps.random),
    gate: deps.gate ?? createBurstGate(),
    spend: deps.spend ?? (() => true),
    signal: deps.signal,
  };
  try {
    return await measure(socket, session);
  } catch (cause) {
    const code = cause instanceof AppError ? cause.code : "ABORTED";
    throw new AppError(code, `probe of ${where}: ${reason ?? errorMessage(cause)}`, { cause });
  } finally {
    done.abort();
    deps.signal?.removeEventListener("abort", abort);
    socket.destroy();
  }
}

async function measure(socket: Socket, session: Session): Promise<ProbeResult> {
  const roundTrips = await measureRoundTrips(session);
  const loss = await measureLoss(socket, session, roundTrips.rttMs);
  const up = await measureBandwidth(session, "upload");
  const down = await measureBandwidth(session, "download");
  const at = session.clock.nowMs();
  const report = (mbps: number | undefined, lossPercent: number | undefined): LinkReport => ({
    ...roundTrips,
    ...(mbps === undefined ? {} : { bandwidthMbps: mbps }),
    ...(lossPercent === undefined ? {} : { lossPercent }),
    at,
  });
  return { up: report(up, loss?.upPercent), down: report(down, loss?.downPercent) };
}

/** Round trips beside somebody's burst say how long its queue is; they count only where there are no others. */
async function measureRoundTrips({
  stream,
  options,
  clock,
  gate,
}: Session): Promise<{ rttMs: number; jitterMs?: number }> {
  const idleMs: number[] = [];
  const busyMs: number[] = [];
  const roundTrip = async (): Promise<void> => {
    const startMs = clock.monotonicMs();
    const { status } = await ask(stream, "echo");
    const isBusy = status === "busy" || gate.isBusy;
    (isBusy ? busyMs : idleMs).push(clock.monotonicMs() - startMs);
  };
  // The first one also pays for the peer's accept and is not counted.
  await roundTrip();
  idleMs.length = 0;
  busyMs.length = 0;
  const tries = options.rttSamples * 2;
  for (let index = 0; index < tries && idleMs.length < options.rttSamples; index += 1) {
    if (index >= options.rttSamples && busyMs.length === index) break;
    await roundTrip();
  }
  const roundTripsMs = idleMs.length > 0 ? idleMs : busyMs;
  const differences = roundTripsMs
    .slice(1)
    .map((ms, index) => Math.abs(ms - (roundTripsMs[index] ?? ms)));
  return {
    rttMs: median(roundTripsMs),
    ...(differences.length === 0 ? {} : { jitterMs: mean(differences) }),
  };
}

async function measureLoss(
  socket: Socket,
  { stream, options, clock, signal, spend }: Session,
  rttMs: number,
): Promise<{ upPercent: number; downPercent: number } | undefined> {
  const { lossDatagrams: count } = options;
  const { remoteAddress: host, remotePort: port } = socket;
  if (count === 0 || host === undefined || port === undefined) return undefined;
  if (!spend(2 * count * DATAGRAM_WIRE_BYTES)) return undefined;
  const { status } = await ask(stream, "open-datagrams");
  if (status !== "ok") return undefined;
  const token = await stream.read(TOKEN_BYTES);
  const sending = { count, spacingMs: DATAGRAM_SPACING_MS, rttMs };
  const answered = await echoDatagrams({ host, port, token }, sending, { clock, signal });
  const { countedBytes: received } = await ask(stream, "count-datagrams");
  return lossOf(count, { received, answered });
}
