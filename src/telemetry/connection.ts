import { connect, type IClientOptions, type MqttClient } from "mqtt";
import { type Clock, errorMessage, type Logger, type Random } from "../core/index.js";
import type { Message } from "./intake.js";
import type { MqttOptions } from "./options.js";
import { Outbox } from "./outbox.js";

/** A connection that lasted this long ends a row of failures. */
const STABLE_AFTER_MS = 10_000;
const FAREWELL_TIMEOUT_MS = 2_000;
/** QoS 0 messages that the socket has not taken yet; more are dropped. */
const UNSENT_MAX = 100;
const LINK_EXPIRY_SECONDS = 60;
/** MQTT 5: another client has connected with our id. */
const REASON_TAKEN_OVER = 0x8e;
const REASONS_NOT_AUTHORIZED = new Set([4, 5, 0x86, 0x87]);

export interface ConnectionSetup {
  mqtt: MqttOptions;
  clientId: string;
  /** Published by the broker, retained, when this client vanishes; and by us before we leave. */
  will: { topic: string; payload: string };
  filters: readonly string[];
}

export interface ConnectionDeps {
  log: Logger;
  clock: Clock;
  random: Random;
  onMessage(message: Message): void;
  onConnection(connected: boolean): void;
}

/** The longest pause before attempt number `failures`, of which a random part is waited (full jitter). */
export function reconnectPauseMsMax(
  options: MqttOptions["reconnect"],
  failures: number,
  takenOver: boolean,
): number {
  if (takenOver) return options.takenOverMs;
  return Math.min(options.maxMs, options.minMs * 2 ** Math.min(failures, 30));
}

/**
 * Stays connected to a broker for ever. Each attempt is a fresh MQTT.js client without its own reconnect:
 * it has no back-off, gives up after a refused login, and would replay stale messages from its queues.
 */
export class Connection {
  readonly #setup: ConnectionSetup;
  readonly #deps: ConnectionDeps;
  readonly #outbox: Outbox;
  readonly #stopping = new AbortController();
  readonly #finished: Promise<void>;
  #client: MqttClient | undefined;
  #problem: string | undefined = "not connected yet";
  #problemLogged: string | undefined;
  #unsent = 0;

  constructor(setup: ConnectionSetup, deps: ConnectionDeps) {
    this.#setup = setup;
    this.#deps = deps;
    this.#outbox = new Outbox(deps.log);
    this.#finished = this.#stayConnected();
  }

  get connected(): boolean {
    return this.#client !== undefined;
  }

  /** Why there is no connection, in plain words. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Retained, QoS 1: published now or at the next connect, and again at every further one. */
  retain(topic: string, payload: string): void {
    this.#outbox.set(topic, payload);
  }

  /** QoS 0: published now or never. */
  report(topic: string, payload: string): boolean {
    const client = this.#client;
    if (client === undefined || this.#unsent >= UNSENT_MAX) return false;
    this.#unsent += 1;
    client.publish(topic, payload, { qos: 0, ...this.#expiry(LINK_EXPIRY_SECONDS) }, () => {
      this.#unsent -= 1;
    });
    return true;
  }

  /** QoS 1, not retained; resolves with whether the broker took it. */
  send(topic: string, payload: string): Promise<boolean> {
    const client = this.#client;
    if (client === undefined) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = (isSent: boolean): void => {
        client.off("close", closed);
        resolve(isSent);
      };
      // A client that closes may forget its callbacks.
      const closed = (): void => settle(false);
      client.once("close", closed);
      client.publish(topic, payload, { qos: 1 }, (error) => settle(error == null));
    });
  }

  /** Says farewell (the broker sends no will after a clean end), then disconnects. */
  async stop(): Promise<void> {
    const client = this.#client;
    if (client !== undefined) {
      const { topic, payload } = this.#setup.will;
      const farewell = client
        .publishAsync(topic, payload, { qos: 1, retain: true })
        .then(() => client.endAsync())
        .catch(() => undefined);
      await this.#within(farewell, FAREWELL_TIMEOUT_MS);
    }
    this.#stopping.abort();
    await this.#finished;
  }

  async #stayConnected(): Promise<void> {
    const { signal } = this.#stopping;
    const stopping = (): boolean => signal.aborted;
    const { clock, random, log } = this.#deps;
    let failures = 0;
    while (!stopping()) {
      const { lastedMs, takenOver } = await this.#session();
      if (stopping()) return;
      if (takenOver) {
        log.error(
          { clientId: this.#setup.clientId },
          "another program connected with this site, node and role; waiting long before the next attempt",
        );
      }
      failures = lastedMs >= STABLE_AFTER_MS ? 0 : failures + 1;
      const pauseMsMax = reconnectPauseMsMax(this.#setup.mqtt.reconnect, failures - 1, takenOver);
      // Fighting over a client id is worse than waiting, so there the pause is not shortened at random.
      await clock.sleep(takenOver ? pauseMsMax : random() * pauseMsMax, signal);
    }
  }

  /** One attempt: connects, serves until the connection closes. Never rejects. */
  async #session(): Promise<{ lastedMs: number; takenOver: boolean }> {
    const { clock } = this.#deps;
    const { signal } = this.#stopping;
    let upSinceMs: number | undefined;
    let takenOver = false;
    let client: MqttClient;
    try {
      client = connect(this.#setup.mqtt.url, this.#clientOptions());
    } catch (error) {
      this.#report(`cannot connect: ${errorMessage(error)}`);
      return { lastedMs: 0, takenOver };
    }
    let failure = "the broker closed the connection";
    const closed = new Promise<void>((resolve) => client.once("close", resolve));
    const abort = (): void => void client.end(true);
    signal.addEventListener("abort", abort, { once: true });
    client.on("error", (error) => {
      failure = describeError(error);
    });
    client.on("disconnect", (packet) => {
      takenOver ||= packet.reasonCode === REASON_TAKEN_OVER;
    });
    client.on("message", (topic, payload, packet) =>
      this.#deps.onMessage({ topic, payload, retained: packet.retain }),
    );
    client.on("connect", () => {
      void this.#subscribe(client).then((problem) => {
        if (problem !== undefined) {
          failure = problem;
          client.end(true);
        } else if (client.connected) {
          upSinceMs = clock.monotonicMs();
          this.#up(client);
        }
      });
    });
    if (signal.aborted) abort();
    await closed;
    signal.removeEventListener("abort", abort);
    client.end(true);
    this.#down(failure);
    return { lastedMs: upSinceMs === undefined ? 0 : clock.monotonicMs() - upSinceMs, takenOver };
  }

  async #subscribe(client: MqttClient): Promise<string | undefined> {
    if (this.#setup.filters.length === 0) return undefined;
    try {
      const granted = await client.subscribeAsync([...this.#setup.filters], { qos: 1 });
      const refused = granted.find((grant) => grant.qos >= 128);
      return refused === undefined ? undefined : `the broker refuses to subscribe ${refused.topic}`;
    } catch (error) {
      return `cannot subscribe: ${errorMessage(error)}`;
    }
  }

  #up(client: MqttClient): void {
    this.#client = client;
    this.#problem = undefined;
    this.#problemLogged = undefined;
    this.#unsent = 0;
    this.#deps.log.info({ clientId: this.#setup.clientId }, "connected to the broker");
    this.#outbox.attach((topic, payload, done) => {
      client.publish(topic, payload, { qos: 1, retain: true }, (error) => done(error == null));
    });
    this.#deps.onConnection(true);
  }

  #down(failure: string): void {
    const wasConnected = this.#client !== undefined;
    this.#client = undefined;
    this.#outbox.detach();
    this.#report(failure);
    if (wasConnected) this.#deps.onConnection(false);
  }

  /** Keeps the reason for `problem`, and logs it when it is a new one. */
  #report(problem: string): void {
    this.#problem = problem;
    if (this.#stopping.signal.aborted || this.#problemLogged === problem) return;
    this.#problemLogged = problem;
    this.#deps.log.warn({ problem }, "no connection to the broker; trying for ever");
  }

  #expiry(seconds: number): { properties?: { messageExpiryInterval: number } } {
    return this.#setup.mqtt.protocolVersion === 5
      ? { properties: { messageExpiryInterval: seconds } }
      : {};
  }

  #clientOptions(): IClientOptions {
    const { mqtt, clientId, will } = this.#setup;
    const { ca, cert, key } = mqtt.tls;
    return {
      clientId,
      clean: true,
      protocolVersion: mqtt.protocolVersion,
      keepalive: mqtt.keepaliveSeconds,
      connectTimeout: mqtt.connectTimeoutMs,
      reconnectPeriod: 0,
      queueQoSZero: false,
      timerVariant: "native",
      will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: true },
      ...(mqtt.username === undefined ? {} : { username: mqtt.username }),
      ...(mqtt.password === undefined ? {} : { password: mqtt.password }),
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    };
  }

  async #within(work: Promise<unknown>, timeoutMs: number): Promise<void> {
    const done = new AbortController();
    await Promise.race([work, this.#deps.clock.sleep(timeoutMs, done.signal)]);
    done.abort();
  }
}

function describeError(error: Error & { code?: unknown }): string {
  if (typeof error.code === "number" && REASONS_NOT_AUTHORIZED.has(error.code)) {
    return `the broker refuses the login (${error.message}); check username and password`;
  }
  return error.message === "" ? `cannot connect: ${String(error.code)}` : error.message;
}
