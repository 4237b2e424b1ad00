import { createServer, type Server, type Socket } from "node:net";
import { AppError, type Clock, errorMessage, type Logger, seededRandom } from "../core/index.js";
import { ByteStream, burstPattern, writeBurst } from "./byte-stream.js";
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

export interface ProbeServer {
  readonly port: number;
  stop(): Promise<void>;
}

interface Service {
  options: ProbeServerOptions;
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
  deps: { log: Logger; clock: Clock },
): Promise<ProbeServer> {
  const log = deps.log.child({ component: "probe-server" });
  const rate = {
    perSecond: options.maxBytesPerMinute / SECONDS_PER_MINUTE,
    burst: options.maxBytesPerMinute,
  };
  let budget: Bucket | undefined;
  const service: Service = {
    options,
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
  log.info({ host: options.host, port }, "probe server listens");
  return {
    port,
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function serve(socket: Socket, service: Service): Promise<void> {
  const stream = new ByteStream(socket);
  for (let served = 0; served < REQUESTS_MAX; served += 1) {
    const request = decodeRequest(await stream.read(REQUEST_BYTES));
    if (request === undefined) throw new AppError("STREAM_PROTOCOL", "not a probe request");
    const { burstBytes } = request;
    if (burstBytes > service.options.maxBurstBytes || !service.spend(burstBytes)) {
      await stream.write(encodeReply(replyTo(request, { status: "refused" })));
      break;
    }
    await answer(stream, request, service);
  }
  socket.end();
}

async function answer(
  stream: ByteStream,
  request: ProbeRequest,
  { clock, pattern }: Service,
): Promise<void> {
  switch (request.kind) {
    case "echo":
      await stream.write(encodeReply(replyTo(request, {})));
      return;
    case "upload": {
      const meter = createBurstMeter(request.burstBytes);
      await stream.consume(request.burstBytes, (chunk) =>
        meter.take(chunk.length, clock.monotonicMs()),
      );
      await stream.write(encodeReply(replyTo(request, meter.timing())));
      return;
    }
    case "download":
      await stream.write(encodeReply(replyTo(request, {})));
      await writeBurst(stream, request.burstBytes, pattern);
  }
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
