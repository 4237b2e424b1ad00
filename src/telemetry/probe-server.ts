import { createServer, type Server, type Socket } from "node:net";
import { AppError, type Clock, errorMessage, type Logger, seededRandom } from "../core/index.js";
import { ByteStream, burstPattern, writeBurst } from "./byte-stream.js";
import { type BurstGate, createBurstGate } from "./burst-gate.js";
import { type DatagramEcho, type DatagramSession, startDatagramEcho } from "./datagrams.js";
import type { ProbeServerOptions } from "./options.js";
import {
  createBurstMeter,
  decodeRequest,
  encodeReply,
  type ProbeReply,
  type ProbeRequest,
  REQUEST_BYTES,
} from "./probe-protocol.js";
import { type Bucket, takeTokens } from "./rate.js";

/** Round trips and bursts of one connection; a client that wants more has to connect again. */
const REQUESTS_MAX = 1_100;
const PATTERN_SEED = 1;
const SECONDS_PER_MINUTE = 60;
const BURST_MS_MAX = 10_000;

export interface ProbeServer {
  readonly port: number;
  stop(): Promise<void>;
}

interface Service {
  options: ProbeServerOptions;
  gate: BurstGate;
  datagrams: DatagramEcho | undefined;
  clock: Clock;
  pattern: Uint8Array;
  /** Takes from the budget of bytes that all connections share. */
  spend(bytes: number): boolean;
}

/**
 * Answers the probes of peers. What a stranger can make it send or take is bounded: bytes of a burst,
 * bytes in a minute, connections and the time of each. LISTEN_FAILED.
 */
export async function startProbeServer(
  options: ProbeServerOptions,
  deps: { log: Logger; clock: Clock; gate?: BurstGate },
): Promise<ProbeServer> {
  const log = deps.log.child({ component: "probe-server" });
  const rate = {
    perSecond: options.maxBytesPerMinute / SECONDS_PER_MINUTE,
    burst: options.maxBytesPerMinute,
  };
  let budget: Bucket | undefined;
  const service: Service = {
    options,
    gate: deps.gate ?? createBurstGate(),
    datagrams: undefined,
    clock: deps.clock,
    pattern: burstPattern(seededRandom(PATTERN_SEED)),
    spend: (bytes) => {
      const result = takeTokens(budget, rate, { nowMs: deps.clock.monotonicMs(), count: bytes });
      budget = result.bucket;
      return result.taken;
    },
  };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const expiry = new AbortController();
    socket.on("close", () => {
      sockets.delete(socket);
      expiry.abort();
    });
    socket.setNoDelay(true);
    void deps.clock.sleep(options.connectionTimeoutMs, expiry.signal).then(() => socket.destroy());
    serve(socket, service).catch((error: unknown) => {
      log.debug({ err: error }, "probe ended early");
      socket.destroy();
    });
  });
  server.maxConnections = options.maxConnections;
  const port = await listen(server, options);
  const datagrams = await startDatagramEcho({ host: options.host, port }, { log });
  service.datagrams = datagrams;
  log.info({ host: options.host, port }, "probe server listens");
  return {
    port,
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
      await datagrams?.stop();
    },
  };
}

async function serve(socket: Socket, service: Service): Promise<void> {
  const stream = new ByteStream(socket);
  const visit: Visit = {
    stream,
    address: socket.remoteAddress ?? "",
    datagrams: undefined,
    endBurst: () => undefined,
  };
  socket.on("close", () => {
    visit.datagrams?.end();
    visit.endBurst();
  });
  for (let served = 0; served < REQUESTS_MAX; served += 1) {
    const request = decodeRequest(await stream.read(REQUEST_BYTES));
    visit.endBurst();
    if (request === undefined) throw new AppError("STREAM_PROTOCOL", "not a probe request");
    const { burstBytes } = request;
    if (burstBytes > service.options.maxBurstBytes || !service.spend(burstBytes)) {
      await stream.write(encodeReply(replyTo(request, { status: "refused" })));
      break;
    }
    await answer(visit, request, service);
  }
  socket.end();
}

/** One connection of a peer. */
interface Visit {
  stream: ByteStream;
  address: string;
  datagrams: DatagramSession | undefined;
  /** Lets the next burst in. */
  endBurst: () => void;
}

async function answer(visit: Visit, request: ProbeRequest, service: Service): Promise<void> {
  const { stream } = visit;
  const { gate } = service;
  switch (request.kind) {
    case "echo":
      await stream.write(encodeReply(replyTo(request, { status: gate.isBusy ? "busy" : "ok" })));
      return;
    case "upload":
    case "download": {
      const leave = gate.enter();
      await stream.write(encodeReply(replyTo(request, { status: leave ? "ok" : "busy" })));
      if (leave === undefined) return;
      const expiry = new AbortController();
      // Who stalls in the middle of a burst must not keep everybody else out.
      void service.clock.sleep(BURST_MS_MAX, expiry.signal).then(leave);
      visit.endBurst = () => {
        expiry.abort();
        leave();
      };
      await serveBurst(visit, request, service);
      return;
    }
    case "open-datagrams":
      visit.datagrams ??= service.datagrams?.open(visit.address);
      if (visit.datagrams === undefined) {
        await stream.write(encodeReply(replyTo(request, { status: "busy" })));
        return;
      }
      await stream.write(encodeReply(replyTo(request, {})));
      await stream.write(visit.datagrams.token);
      return;
    case "count-datagrams": {
      const countedBytes = visit.datagrams?.received() ?? 0;
      await stream.write(encodeReply(replyTo(request, { countedBytes })));
    }
  }
}

async function serveBurst(
  visit: Visit,
  request: ProbeRequest,
  { clock, pattern }: Service,
): Promise<void> {
  const { stream } = visit;
  const { burstBytes } = request;
  if (request.kind === "download") {
    // When it is written it is still on its way: only the peer's next request says that it has arrived.
    await writeBurst(stream, burstBytes, pattern);
    return;
  }
  const meter = createBurstMeter(burstBytes);
  await stream.consume(burstBytes, (chunk) => meter.take(chunk.length, clock.monotonicMs()));
  visit.endBurst();
  await stream.write(encodeReply(replyTo(request, meter.timing())));
}

function replyTo(request: ProbeRequest, fields: Partial<ProbeReply>): ProbeReply {
  const nothing = { countedBytes: 0, countedMs: 0, wholeMs: 0 };
  return { kind: request.kind, status: "ok", ...nothing, ...fields };
}

function listen(server: Server, { host, port }: ProbeServerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const text = `the probe server cannot listen on ${host}:${port}: ${errorMessage(cause)}`;
      reject(new AppError("LISTEN_FAILED", text, { cause }));
    });
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}
