import { connect, createServer, type Server, type Socket } from "node:net";
import { AppError, type Clock, errorMessage, type Random, seededRandom } from "../core/index.js";
import { startDatagramRelay } from "./datagram-relay.js";
import { type LinkShape, Shaper } from "./shaper.js";

const CONNECTIONS_MAX = 64;
const LOSS_SEED = 1;

export interface LinkEmulatorOptions {
  /** 0 or absent: a free one. Always on loopback. */
  listenPort?: number;
  target: { host: string; port: number };
  rttMs: number;
  /** In each direction. */
  bandwidthMbps: number;
  /** Share of UDP datagrams that get lost, in each direction; 100: UDP is blocked. Default 0. */
  lossPercent?: number;
}

/** A proxy of TCP, and of UDP on the same port, that behaves like a link of a known rate and delay. */
export interface LinkEmulator {
  readonly port: number;
  /** Holds for whatever is sent from now on. */
  set(shape: { rttMs: number; bandwidthMbps: number }): void;
  /** Cuts all connections and refuses new ones. */
  drop(): void;
  restore(): void;
  stop(): Promise<void>;
}

/**
 * Starts an emulated link in front of `target`. All its connections share the rate; each direction takes
 * half the round trip. TCP's own handshake is not delayed. LISTEN_FAILED.
 */
export async function startLinkEmulator(
  options: LinkEmulatorOptions,
  deps: { clock: Clock; random?: Random },
): Promise<LinkEmulator> {
  const { target, listenPort = 0 } = options;
  const up = new Shaper(oneWay(options), deps.clock);
  const down = new Shaper(oneWay(options), deps.clock);
  const sockets = new Set<Socket>();
  let dropped = false;
  const server = createServer({ allowHalfOpen: true }, (near) => {
    if (dropped) {
      near.destroy();
      return;
    }
    const far = connect({ ...target, noDelay: true, allowHalfOpen: true });
    near.setNoDelay(true);
    for (const socket of [near, far]) {
      sockets.add(socket);
      // What goes wrong with one side is told to the other by closing it.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    pipe(near, far, up);
    pipe(far, near, down);
  });
  server.maxConnections = CONNECTIONS_MAX;
  const port = await listen(server, listenPort);
  const datagrams = await startDatagramRelay(
    { port, target, lossPercent: options.lossPercent ?? 0, isDropped: () => dropped },
    { up, down, random: deps.random ?? seededRandom(LOSS_SEED) },
  );
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    set: (shape) => {
      up.set(oneWay(shape));
      down.set(oneWay(shape));
    },
    drop: () => {
      dropped = true;
      cut();
    },
    restore: () => {
      dropped = false;
    },
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      cut();
      up.stop();
      down.stop();
      await datagrams.stop();
      await closed;
    },
  };
}

function oneWay({ rttMs, bandwidthMbps }: { rttMs: number; bandwidthMbps: number }): LinkShape {
  return { delayMs: rttMs / 2, bytesPerMs: (bandwidthMbps * 1_000) / 8 };
}

/** Sends what `source` says to `sink` through the shaper, and stops reading while too much is under way. */
function pipe(source: Socket, sink: Socket, shaper: Shaper): void {
  const line = shaper.open({
    deliver: (chunk) => {
      if (!sink.destroyed && !sink.write(chunk)) {
        line.hold();
        sink.once("drain", () => line.release());
      }
    },
    end: () => sink.end(),
    pause: () => source.pause(),
    resume: () => source.resume(),
  });
  source.on("data", (chunk: Buffer) => line.send(chunk));
  source.on("end", () => line.end());
  source.on("close", () => line.close());
  sink.on("close", () => line.close());
}

function listen(server: Server, listenPort: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const text = `the link emulator cannot listen on port ${listenPort}: ${errorMessage(cause)}`;
      reject(new AppError("LISTEN_FAILED", text, { cause }));
    });
    server.listen(listenPort, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : listenPort);
    });
  });
}
