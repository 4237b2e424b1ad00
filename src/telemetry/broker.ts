import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { Aedes, type Client, type PublishPacket } from "aedes";
import { AppError, errorMessage, type Logger } from "../core/index.js";
import type { BrokerOptions } from "./options.js";
import { createPacketMeter } from "./packet-meter.js";

/** Room for `scission-<site>-<node>-<role>`; MQTT 3.1 allowed 23 only. */
const CLIENT_ID_LENGTH_MAX = 256;
const BAD_LOGIN = 4;
const TOPIC_LEVELS_MAX = 16;

export interface Broker {
  /** For this machine: "mqtt://127.0.0.1:1883". */
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts the embedded broker (MQTT 3.1.1; sessions end with their connection). LISTEN_FAILED. */
export async function startBroker(options: BrokerOptions, deps: { log: Logger }): Promise<Broker> {
  const log = deps.log.child({ component: "broker" });
  const aedes = await Aedes.createBroker({
    connectTimeout: options.connectTimeoutMs,
    keepaliveLimit: options.keepaliveSecondsMax,
    maxClientsIdLength: CLIENT_ID_LENGTH_MAX,
    maxTopicLevels: TOPIC_LEVELS_MAX,
  });
  aedes.preConnect = (_client, packet, callback) => {
    // A kept session would queue for a client that may never return.
    packet.clean = true;
    callback(null, true);
  };
  aedes.authenticate = createAuthenticator(options);
  const publishGuard = createPublishGuard(options.maxRetainedTopics, aedes.authorizePublish);
  aedes.authorizePublish = publishGuard;
  const logFailure = (client: Client, error: Error): void =>
    log.debug({ client: client.id, err: error }, "client failed");
  aedes.on("clientError", logFailure);
  aedes.on("connectionError", logFailure);

  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", (error) => log.debug({ err: error }, "connection failed"));
    socket.setNoDelay(true);
    aedes.handle(socket);
    // Aedes reads by "readable"; this listener sees each chunk on its way, before it is buffered.
    const meter = createPacketMeter(options.maxPacketBytes);
    socket.on("data", (chunk: Buffer) => {
      if (meter(chunk)) return;
      log.warn({ maxPacketBytes: options.maxPacketBytes }, "packet too long; client disconnected");
      socket.destroy();
    });
  });
  server.maxConnections = options.maxClients;
  try {
    const port = await listen(server, options);
    log.info({ host: options.host, port }, "broker listens");
    return {
      url: `mqtt://${reachableHost(options.host)}:${port}`,
      port,
      stop: () => stopBroker(aedes, server, sockets),
    };
  } catch (cause) {
    await new Promise<void>((resolve) => aedes.close(resolve));
    throw cause;
  }
}

async function stopBroker(aedes: Aedes, server: Server, sockets: Set<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of sockets) socket.destroy();
  await closed;
  await new Promise<void>((resolve) => aedes.close(resolve));
}

function listen(server: Server, { host, port }: BrokerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const text =
        `the embedded broker cannot listen on ${host}:${port}: ${errorMessage(cause)}; ` +
        "set mqtt.url to use the broker that is there, or mqtt.broker.port to a free port";
      reject(new AppError("LISTEN_FAILED", text, { cause }));
    });
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

type Authenticate = Aedes["authenticate"];

function createAuthenticator({ username, password }: BrokerOptions): Authenticate {
  const admits = (name: string | undefined, secret: Buffer | undefined): boolean =>
    username === undefined ||
    [sameSecret(name ?? "", username), sameSecret(secret ?? "", password ?? "")].every(Boolean);
  // eslint-disable-next-line max-params -- the signature is the library's
  return (_client, name, secret, done) => {
    if (admits(name, secret)) {
      done(null, true);
      return;
    }
    const error = new Error("bad user name or password");
    done(Object.assign(error, { returnCode: BAD_LOGIN }), null);
  };
}

/** Digests have one length, so that the comparison tells nothing about the secret's. */
function sameSecret(given: string | Buffer, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

function digest(secret: string | Buffer): Buffer {
  return createHash("sha256").update(secret).digest();
}

type AuthorizePublish = Aedes["authorizePublish"];

/** Refuses a further retained topic beyond the limit: each stays in memory for ever. */
function createPublishGuard(topicsMax: number, next: AuthorizePublish): AuthorizePublish {
  const retained = new Set<string>();
  return (client, packet: PublishPacket, callback) => {
    if (packet.retain) {
      if (packet.payload.length === 0) retained.delete(packet.topic);
      else if (retained.size < topicsMax) retained.add(packet.topic);
      else if (!retained.has(packet.topic)) {
        callback(new Error("too many retained topics"));
        return;
      }
    }
    next(client, packet, callback);
  };
}

function reachableHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
