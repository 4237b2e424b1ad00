import { connect, type Socket } from "node:net";
import { median } from "simple-statistics";
import { AppError, type Clock, errorMessage, type Random } from "../core/index.js";
import type { LinkReport } from "../protocol/index.js";
import { ByteStream, burstPattern, writeBurst } from "./byte-stream.js";
import type { ProbeOptions } from "./options.js";
import {
  type BurstTiming,
  bandwidthMbpsOf,
  createBurstMeter,
  decodeReply,
  encodeRequest,
  nextBurstBytes,
  type ProbeReply,
  type ProbeRequest,
  REPLY_BYTES,
} from "./probe-protocol.js";

export interface ProbeDeps {
  clock: Clock;
  random: Random;
  signal?: AbortSignal;
}

export interface ProbeResult {
  /** From this node to the peer. */
  up: LinkReport;
  /** From the peer to this node. */
  down: LinkReport;
}

/**
 * Measures the link to a peer's probe server: the median round trip while the connection is idle, then
 * the bandwidth in each direction by bursts that grow until one lasts long enough, timed at the receiver.
 * Loss cannot be seen through TCP and is left out. Rejects (ABORTED, STREAM_PROTOCOL) when the peer
 * cannot be reached, refuses, or takes longer than `timeoutMs`.
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
  try {
    return await measure(socket, options, deps);
  } catch (cause) {
    const code = cause instanceof AppError ? cause.code : "ABORTED";
    throw new AppError(code, `probe of ${where}: ${reason ?? errorMessage(cause)}`, { cause });
  } finally {
    done.abort();
    deps.signal?.removeEventListener("abort", abort);
    socket.destroy();
  }
}

async function measure(
  socket: Socket,
  options: ProbeOptions,
  deps: ProbeDeps,
): Promise<ProbeResult> {
  const stream = new ByteStream(socket);
  const rttMs = await measureRtt(stream, options.rttSamples, deps.clock);
  const pattern = burstPattern(deps.random);
  const up = await measureBandwidth(options, (burstBytes) =>
    uploadBurst(stream, burstBytes, { clock: deps.clock, pattern }),
  );
  const down = await measureBandwidth(options, (burstBytes) =>
    downloadBurst(stream, burstBytes, deps.clock),
  );
  const at = deps.clock.nowMs();
  const report = (bandwidthMbps: number | undefined): LinkReport => ({
    rttMs,
    ...(bandwidthMbps === undefined ? {} : { bandwidthMbps }),
    at,
  });
  return { up: report(up), down: report(down) };
}

async function measureRtt(stream: ByteStream, samples: number, clock: Clock): Promise<number> {
  const roundTrip = async (): Promise<number> => {
    const startMs = clock.monotonicMs();
    await ask(stream, { kind: "echo", burstBytes: 0 });
    return clock.monotonicMs() - startMs;
  };
  // The first one also pays for the peer's accept and is not counted.
  await roundTrip();
  const roundTripsMs: number[] = [];
  for (let index = 0; index < samples; index += 1) roundTripsMs.push(await roundTrip());
  return median(roundTripsMs);
}

async function measureBandwidth(
  options: ProbeOptions,
  burst: (burstBytes: number) => Promise<BurstTiming>,
): Promise<number | undefined> {
  let bandwidthMbps: number | undefined;
  let burstBytes: number | undefined = options.burstBytesMin;
  while (burstBytes !== undefined) {
    const timing = await burst(burstBytes);
    bandwidthMbps = bandwidthMbpsOf(timing) ?? bandwidthMbps;
    burstBytes = nextBurstBytes(burstBytes, timing.wholeMs, options);
  }
  return bandwidthMbps;
}

async function uploadBurst(
  stream: ByteStream,
  burstBytes: number,
  { clock, pattern }: { clock: Clock; pattern: Uint8Array },
): Promise<BurstTiming> {
  const startMs = clock.monotonicMs();
  await stream.write(encodeRequest({ kind: "upload", burstBytes }));
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

async function downloadBurst(
  stream: ByteStream,
  burstBytes: number,
  clock: Clock,
): Promise<BurstTiming> {
  await ask(stream, { kind: "download", burstBytes });
  const meter = createBurstMeter(burstBytes);
  await stream.consume(burstBytes, (chunk) => meter.take(chunk.length, clock.monotonicMs()));
  return meter.timing();
}

async function ask(stream: ByteStream, request: ProbeRequest): Promise<ProbeReply> {
  await stream.write(encodeRequest(request));
  return readReply(stream, request.kind);
}

async function readReply(stream: ByteStream, kind: ProbeRequest["kind"]): Promise<ProbeReply> {
  const reply = decodeReply(await stream.read(REPLY_BYTES));
  if (reply?.kind !== kind) throw new AppError("STREAM_PROTOCOL", "the peer is no probe server");
  if (reply.status === "refused") {
    throw new AppError("STREAM_PROTOCOL", "the peer refuses: its limits on probes are reached");
  }
  return reply;
}
