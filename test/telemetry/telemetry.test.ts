import { connectAsync, type MqttClient } from "mqtt";
import { afterEach, describe, expect, it } from "vitest";
import { AppError, seededRandom, silentLogger, systemClock } from "../../src/core/index.js";
import type { NodeState } from "../../src/protocol/index.js";
import {
  brokerOptionsSchema,
  connectTelemetry,
  type LinkEvent,
  mqttOptionsSchema,
  startBroker,
  type Telemetry,
  type TelemetryHandlers,
} from "../../src/telemetry/index.js";
import { freePort } from "../support/daemon-process.js";
import { mosquittoPath, startMosquitto } from "../support/mosquitto.js";
import { until } from "../support/poll.js";

interface TestBroker {
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
const brokers: { title: string; start: (() => Promise<TestBroker>) | undefined }[] = [
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

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function stateOf(node: string, bootId = "boot-1"): NodeState {
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

async function join(
  url: string,
  node: string,
  options: { handlers?: TelemetryHandlers; mqtt?: Record<string, unknown>; bootId?: string } = {},
): Promise<Telemetry> {
  const telemetry = await connectTelemetry(
    mqttOptionsSchema.parse({ url, reconnect: { minMs: 20, maxMs: 100 }, ...options.mqtt }),
    {
      site: "lab",
      role: node === "edge-1" ? "daemon" : "agent",
      state: stateOf(node, options.bootId),
    },
    { log, clock: systemClock, random: seededRandom(3), handlers: options.handlers ?? {} },
  );
  closers.push(() => telemetry.stop());
  return telemetry;
}

/** A bare client, as anybody may be one. */
async function stranger(
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

const stateTopic = (node: string): string => `scission/v1/lab/nodes/${node}/state`;

for (const { title, start } of brokers) {
  describe.skipIf(start === undefined)(`telemetry with the ${title}`, () => {
    async function broker(): Promise<TestBroker> {
      if (start === undefined) throw new Error("no broker");
      const started = await start();
      closers.push(() => started.stop());
      return started;
    }

    it("tells who is online to those who come later, and who has left", async () => {
      const { url } = await broker();
      const agent = await join(url, "cam-1");
      await until(() => agent.connected);
      const seen: NodeState[] = [];
      const gone: string[] = [];
      await join(url, "edge-1", {
        handlers: {
          onNodeState: (state) => seen.push(state),
          onNodeGone: (node) => gone.push(node),
        },
      });
      await until(() => seen.some(({ node, status }) => node === "cam-1" && status === "online"));
      await agent.stop();
      await until(() => seen.some(({ node, status }) => node === "cam-1" && status === "offline"));
      const admin = await stranger(url);
      await admin.publishAsync(stateTopic("cam-1"), "", { qos: 1, retain: true });
      await until(() => gone.includes("cam-1"));
    });

    it("publishes the will of a node that vanishes", async () => {
      const { url } = await broker();
      const seen: NodeState[] = [];
      const edge = await join(url, "edge-1", {
        handlers: { onNodeState: (state) => seen.push(state) },
      });
      await until(() => edge.connected);
      const payload = Buffer.from(JSON.stringify({ ...stateOf("cam-1"), status: "offline" }));
      const dying = await stranger(url, { topic: stateTopic("cam-1"), payload });
      await dying.publishAsync(stateTopic("cam-1"), JSON.stringify(stateOf("cam-1")), { qos: 1 });
      await until(() => seen.some(({ node, status }) => node === "cam-1" && status === "online"));
      dying.stream.destroy();
      await until(() => seen.some(({ node, status }) => node === "cam-1" && status === "offline"));
    });

    it("is not taken offline by an old will, its own or another's", async () => {
      const { url } = await broker();
      const seen: NodeState[] = [];
      const agent = await join(url, "cam-1", { bootId: "boot-2" });
      const edge = await join(url, "edge-1", {
        handlers: { onNodeState: (state) => seen.push(state) },
      });
      await until(() => seen.some(({ bootId }) => bootId === "boot-2") && agent.connected);
      const will = { ...stateOf("cam-1", "boot-1"), status: "offline" };
      const late = await stranger(url);
      await late.publishAsync(stateTopic("cam-1"), JSON.stringify(will), { qos: 1, retain: true });
      await until(() => edge.counters()["old-will"] === 1);
      expect(seen.filter(({ status }) => status === "offline")).toEqual([]);
      const latest = new Promise<string>((resolve) =>
        late.on("message", (_topic, payload) => {
          if (payload.includes("online")) resolve(payload.toString());
        }),
      );
      await late.subscribeAsync(stateTopic("cam-1"));
      expect(JSON.parse(await latest)).toMatchObject({ bootId: "boot-2", status: "online" });
    });

    it("comes back after a restart of the broker, with all retained state", async () => {
      const started = await broker();
      const agent = await join(started.url, "cam-1");
      await until(() => agent.connected);
      const connections: boolean[] = [];
      const edge = await join(started.url, "edge-1", {
        handlers: { onConnection: (connected) => connections.push(connected) },
      });
      await until(() => edge.connected);
      agent.setState({ ...stateOf("cam-1"), logicalCores: 99 });
      await started.restart();
      await until(() => connections.length >= 3 && agent.connected);
      expect(connections).toEqual([true, false, true]);
      const client = await stranger(started.url);
      const state = new Promise<string>((resolve) =>
        client.on("message", (_topic, payload) => resolve(payload.toString())),
      );
      await client.subscribeAsync(stateTopic("cam-1"));
      expect(JSON.parse(await state)).toMatchObject({ logicalCores: 99 });
    });

    it("says what is wrong while there is no broker, and queues no telemetry", async () => {
      const started = await broker();
      const edge = await join(started.url, "edge-1");
      await until(() => edge.connected);
      expect(edge.problem).toBeUndefined();
      await started.stop();
      await until(() => !edge.connected);
      expect(edge.problem).toMatch(/./);
      expect(edge.publishLink("edge-1", "cam-1", { rttMs: 1 })).toBe(false);
      await expect(edge.command("cam-1", "x", {}, { timeoutMs: 100 })).rejects.toMatchObject({
        code: "BROKER_UNAVAILABLE",
      });
    });

    it("counts and drops whatever is wrong, and still hears what is right", async () => {
      const { url } = await broker();
      const links: LinkEvent[] = [];
      const states: NodeState[] = [];
      const edge = await join(url, "edge-1", {
        handlers: {
          onLink: (event) => links.push(event),
          onNodeState: (state) => states.push(state),
          onProfile: () => undefined,
          knowsNode: (node) => node !== "mallory",
        },
      });
      await until(() => edge.connected);
      const client = await stranger(url);
      const link = "scission/v1/lab/links/cam-1/edge-1";
      const now = Date.now();
      const bad: [string, string | Buffer][] = [
        [link, "no json"],
        [link, ""],
        [link, "{}"],
        [link, "[]"],
        [link, "null"],
        [link, '{"rttMs":NaN}'],
        [link, '{"rttMs":1e999}'],
        [link, '{"rttMs":-1}'],
        [link, '{"rttMs":"5"}'],
        [link, '{"lossPercent":101}'],
        [link, '{"rttMs":1,"unit":"s"}'],
        [link, '{"at":5}'],
        [link, Buffer.from([0xff, 0xfe, 0x00])],
        [link, "[".repeat(4_000)],
      ];
      for (const [topic, payload] of bad) await client.publishAsync(topic, payload);
      await client.publishAsync(link, Buffer.alloc(1_048_576, 0x20));
      await client.publishAsync(link, JSON.stringify({ rttMs: 1, at: now - 3_600_000 }));
      await client.publishAsync(link, JSON.stringify({ rttMs: 1, at: now + 3_600_000 }));
      await client.publishAsync("scission/v1/lab/links/mallory/edge-1", '{"rttMs":1}');
      await client.publishAsync("scission/v1/lab/links/Cam 1/edge-1", '{"rttMs":1}');
      await client.publishAsync(stateTopic("cam-2"), JSON.stringify(stateOf("cam-1")));
      await client.publishAsync(`scission/v1/lab/nodes/cam-1/profiles/${"0".repeat(64)}`, "{}");
      await client.publishAsync(link, '{"__proto__":{"polluted":1},"rttMs":7}');
      await client.publishAsync(link, JSON.stringify({ rttMs: 8, at: now }), { qos: 1 });
      await client.publishAsync(link, JSON.stringify({ rttMs: 8, at: now }), { qos: 1 });
      await until(() => edge.counters().duplicate === 1);
      await until(() => links.some(({ report }) => report.rttMs === 8));
      expect(links.map(({ report }) => report.rttMs).filter((rtt) => rtt !== 7)).toEqual([8]);
      expect("polluted" in {}).toBe(false);
      expect(states.filter(({ node }) => node !== "edge-1")).toEqual([]);
      const counters = edge.counters();
      expect(counters.malformed).toBeGreaterThanOrEqual(bad.length + 1);
      expect(counters).toMatchObject({
        "too-large": 1,
        "too-old": 1,
        future: 1,
        "unknown-node": 1,
        topic: 1,
        mismatch: 1,
      });
    });

    it("survives a flood: few events, and the newest one arrives", {
      timeout: 90_000,
    }, async () => {
      const { url } = await broker();
      const links: LinkEvent[] = [];
      const edge = await join(url, "edge-1", {
        handlers: { onLink: (event) => links.push(event) },
      });
      await until(() => edge.connected);
      const client = await stranger(url);
      const messages = 100_000;
      const before = process.memoryUsage().rss;
      for (let index = 1; index <= messages; index += 1) {
        client.publish("scission/v1/lab/links/cam-1/edge-1", `{"rttMs":${index}}`);
        // Let the socket drain, as a publisher in another process would have to.
        if (index % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await client.publishAsync("scission/v1/lab/links/cam-1/edge-1", '{"rttMs":7}', { qos: 1 });
      await until(() => links.at(-1)?.report.rttMs === 7, { timeoutMs: 80_000 });
      expect(links.length).toBeLessThan(500);
      expect(edge.counters().rate).toBeGreaterThan(0);
      expect(process.memoryUsage().rss - before).toBeLessThan(400_000_000);
    });

    it("carries commands and answers, each id once", async () => {
      const { url } = await broker();
      const ran: string[] = [];
      const commands = new Map([
        [
          "work",
          (command: { id: string }) => {
            ran.push(command.id);
            return Promise.resolve({ done: true });
          },
        ],
        ["fail", () => Promise.reject(new AppError("MODEL_TOO_LARGE", "too large for me"))],
        ["hang", () => new Promise<never>(() => undefined)],
      ]);
      const agent = await join(url, "cam-1", { handlers: { commands } });
      const edge = await join(url, "edge-1", { handlers: { onNodeState: () => undefined } });
      await until(() => agent.connected && edge.connected);
      const call = { timeoutMs: 5_000 };
      expect(await edge.command("cam-1", "work", { x: 1 }, call)).toEqual({ done: true });
      await expect(edge.command("cam-1", "fail", {}, call)).rejects.toThrow(
        /cam-1 could not fail: too large for me \(MODEL_TOO_LARGE\)/,
      );
      await expect(edge.command("cam-1", "dance", {}, call)).rejects.toThrow(/knows no command/);
      await expect(edge.command("cam-1", "hang", {}, { timeoutMs: 50 })).rejects.toMatchObject({
        code: "COMMAND_TIMEOUT",
      });
      const abort = new AbortController();
      const given = edge.command("cam-1", "hang", {}, { ...call, signal: abort.signal });
      abort.abort();
      await expect(given).rejects.toMatchObject({ code: "ABORTED" });
      const client = await stranger(url);
      const topic = "scission/v1/lab/nodes/cam-1/commands/work";
      await client.publishAsync(topic, '{"id":"twice"}', { qos: 1 });
      await client.publishAsync(topic, '{"id":"twice"}', { qos: 1 });
      await client.publishAsync(topic, "{}", { qos: 1 });
      await client.publishAsync(topic, '{"id":"end"}', { qos: 1 });
      await until(() => ran.includes("end"));
      expect(ran.filter((id) => id === "twice")).toHaveLength(1);
      expect(agent.counters().malformed).toBe(1);
    });

    it("fails what a node was doing when the node starts anew", async () => {
      const { url } = await broker();
      const commands = new Map([["hang", () => new Promise<never>(() => undefined)]]);
      const seen: NodeState[] = [];
      const edge = await join(url, "edge-1", {
        handlers: { onNodeState: (state) => seen.push(state) },
      });
      const agent = await join(url, "cam-1", { handlers: { commands } });
      await until(() => agent.connected && seen.some(({ node }) => node === "cam-1"));
      const answer = edge.command("cam-1", "hang", {}, { timeoutMs: 20_000 });
      const failed = expect(answer).rejects.toThrow(/restarted/);
      await agent.stop();
      await join(url, "cam-1", { handlers: { commands }, bootId: "boot-2" });
      await failed;
    });

    it("does not obey a retained command", async () => {
      const { url } = await broker();
      const ran: unknown[] = [];
      const client = await stranger(url);
      const topic = "scission/v1/lab/nodes/cam-1/commands/work";
      await client.publishAsync(topic, '{"id":"old"}', { qos: 1, retain: true });
      const commands = new Map([
        ["work", (command: unknown) => Promise.resolve(ran.push(command))],
      ]);
      const agent = await join(url, "cam-1", { handlers: { commands } });
      await until(() => agent.counters().retained === 1);
      expect(ran).toEqual([]);
    });
  });
}

describe("embedded broker", () => {
  it("keeps trying after a wrong password and says so, without telling the password", async () => {
    const options = brokerOptionsSchema.parse({ port: 0, username: "u", password: "right" });
    const broker = await startBroker(options, { log });
    closers.push(() => broker.stop());
    const wrong = await join(broker.url, "cam-1", { mqtt: { username: "u", password: "wrong" } });
    const problem = await until(() => (wrong.problem?.includes("login") ? wrong.problem : ""));
    expect(problem).not.toContain("wrong");
    const right = await join(broker.url, "cam-2", { mqtt: { username: "u", password: "right" } });
    await until(() => right.connected);
    expect(wrong.connected).toBe(false);
  });

  it("says so when its port is taken", async () => {
    const first = await startBroker(brokerOptionsSchema.parse({ port: 0 }), { log });
    closers.push(() => first.stop());
    const second = startBroker(brokerOptionsSchema.parse({ port: first.port }), { log });
    await expect(second).rejects.toMatchObject({ code: "LISTEN_FAILED" });
  });

  it("disconnects a client whose packet is too long, and refuses topics beyond the limit", async () => {
    const options = brokerOptionsSchema.parse({
      port: 0,
      maxPacketBytes: 10_000,
      maxRetainedTopics: 1,
    });
    const broker = await startBroker(options, { log });
    closers.push(() => broker.stop());
    for (const attack of [
      (client: MqttClient) => client.publish("big", Buffer.alloc(20_000)),
      (client: MqttClient) => {
        client.publish("one", "x", { retain: true });
        client.publish("two", "x", { retain: true });
      },
    ]) {
      const client = await stranger(broker.url);
      const closed = new Promise<void>((resolve) => client.once("close", () => resolve()));
      attack(client);
      await closed;
    }
    const client = await stranger(broker.url);
    await client.publishAsync("one", "still works", { qos: 1, retain: true });
  });
});
