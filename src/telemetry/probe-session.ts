import { AppError, type Clock, type Random } from "../core/index.js";
import type { BurstGate } from "./burst-gate.js";
import type { ByteStream } from "./byte-stream.js";
import type { ProbeOptions } from "./options.js";
import { decodeReply, encodeRequest, type ProbeReply, REPLY_BYTES } from "./probe-protocol.js";

export interface ProbeDeps {
  clock: Clock;
  random: Random;
  signal?: AbortSignal;
  /** Shared with the probe server of this node. */
  gate?: BurstGate;
  /** Asked before anything but round trips; false: it may not be spent. Default: it may. */
  spend?: (bytes: number) => boolean;
}

/** What the parts of one probe work with. */
export interface Session extends Required<Omit<ProbeDeps, "signal">> {
  stream: ByteStream;
  options: ProbeOptions;
  pattern: Uint8Array;
  signal: AbortSignal | undefined;
}

/** Asks what no burst belongs to. */
export async function ask(
  stream: ByteStream,
  kind: ProbeReply["kind"],
  burstBytes = 0,
): Promise<ProbeReply> {
  await stream.write(encodeRequest({ kind, burstBytes }));
  return readReply(stream, kind);
}

export async function readReply(stream: ByteStream, kind: ProbeReply["kind"]): Promise<ProbeReply> {
  const reply = decodeReply(await stream.read(REPLY_BYTES));
  if (reply?.kind !== kind) throw new AppError("STREAM_PROTOCOL", "the peer is no probe server");
  if (reply.status === "refused") {
    throw new AppError("STREAM_PROTOCOL", "the peer refuses: its limits on probes are reached");
  }
  return reply;
}
