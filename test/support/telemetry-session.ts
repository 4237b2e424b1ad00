import { connectAsync, type MqttClient } from "mqtt";
import { afterEach, describe } from "vitest";
import { type Clock, seededRandom, silentLogger, systemClock } from "../../src/core/index.js";
import type { NodeState } from "../../src/protocol/index.js";
import {
  brokerOptionsSchema,
  connectTelemetry,
  mqttOptionsSchema,
  startBroker,
  type Telemetry,
  type TelemetryHandlers,
} from "../../src/telemetry/index.js";
import { freePort } from "./daemon-process.js";
import { mosquittoPath, startMosquitto } from "./mosquitto.js";

export interface TestBroker {
  readonly url: string;
  /** Ends it and starts it anew on the same port, with nothing remembered. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const log = silentLogger;

/** What is common to both: a broker that is started on a port, and on the same one again. */
async function restartable(
  port: number,
  launch: (port: number) => Promise<{ port: number; url: string; stop(): Promise<void> }>,
): Promise<TestBroker> {
  let broker = await launch(port);
  return {
    url: broker.url,
    restart: async () => {
      await broker.stop();
      broker = await launch(broker.port);
    },
    stop: () => broker.stop(),
  };
}

const mosquitto = mosquittoPath();
const BROKERS: { title: string; start: (() => Promise<TestBroker>) | undefined }[] = [
  {
    title: "embedded broker",
    start: () =>
      restartable(0, (port) => startBroker(brokerOptionsSchema.parse({ port }), { log })),
  },
  mosquitto === undefined
    ? { title: "mosquitto (it is not installed)", start: undefined }
    : {
        title: "mosquitto",
        start: async () => restartable(await freePort(), (port) => startMosquitto(mosquitto, port)),
      },
];

/** What ends the things a test started, in order of their start. */
export type Closers = { push(close: () => unknown): unknown };

/** The suite with either kind of broker; `broker` starts one, and what is among `closers` ends with each test. */
export function describeWithBrokers(
  what: string,
  body: (given: { broker: () => Promise<TestBroker>; closers: Closers }) => void,
): void {
  for (const { title, start } of BROKERS) {
    describe.skipIf(start === undefined)(`${what} with the ${title}`, () => {
      const closers: (() => unknown)[] = [];
      afterEach(async () => {
        for (const close of closers.splice(0).reverse()) await close();
      });
      const broker = async (): Promise<TestBroker> => {
        if (start === undefined) throw new Error("no broker");
        const started = await start();
        closers.push(() => started.stop());
        return started;
      };
      body({ broker, closers });
    });
  }
}

export function stateOf(node: string, bootId = "boot-1"): NodeState {
  return {
    node,
    status: "online",
    bootId,
    tier: "device",
    hardwareClass: "pi-4",
    version: "0.0.0",
    logicalCores: 4,
    memoryBytes: 1,
    emulatedSlowdown: 1,
    models: [],
  };
}

export async function join(
  closers: Closers,
  where: { url: string; node: string },
  options: {
    handlers?: TelemetryHandlers;
    mqtt?: Record<string, unknown>;
    bootId?: string;
    clock?: Clock;
  } = {},
): Promise<Telemetry> {
  const { url, node } = where;
  const telemetry = await connectTelemetry(
    mqttOptionsSchema.parse({ url, reconnect: { minMs: 20, maxMs: 100 }, ...options.mqtt }),
    {
      site: "lab",
      role: node === "edge-1" ? "daemon" : "agent",
      state: stateOf(node, options.bootId),
    },
    {
      log,
      clock: options.clock ?? systemClock,
      random: seededRandom(3),
      handlers: options.handlers ?? {},
    },
  );
  closers.push(() => telemetry.stop());
  return telemetry;
}

/** A bare client, as anybody may be one. */
export async function stranger(
  closers: Closers,
  url: string,
  will?: { topic: string; payload: Buffer },
): Promise<MqttClient> {
  const client = await connectAsync(url, {
    reconnectPeriod: 0,
    ...(will === undefined ? {} : { will: { ...will, qos: 1 as const, retain: true } }),
  });
  client.on("error", () => undefined);
  closers.push(() => client.endAsync(true));
  return client;
}

export const stateTopic = (node: string): string => `scission/v1/lab/nodes/${node}/state`;
