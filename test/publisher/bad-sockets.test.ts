import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { createMetrics } from "../../src/metrics/index.js";
import { aPlan } from "../support/plans.js";
import { until } from "../support/poll.js";
import { type RunningPublisher, runPublisher } from "../support/publisher.js";
import { StreamClient } from "../support/stream-client.js";

const HANDSHAKE =
  "GET /api/v1/updates HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" +
  "Sec-WebSocket-Protocol: scission.updates.v1\r\n\r\n";
const SILENT_CONNECTIONS = 10_000;
const SILENT_SOCKETS = join(import.meta.dirname, "../support/silent-sockets.js");
const STORM_CONNECTIONS = 1_000;
const STORM_AT_ONCE = 50;

let publisher: RunningPublisher;
let raws: Socket[] = [];
let clients: StreamClient[] = [];
afterEach(async () => {
  for (const raw of raws) raw.destroy();
  for (const { socket } of clients) socket.terminate();
  raws = [];
  clients = [];
  await publisher.stop();
});

async function start(stream: object = {}, rest: object = {}): Promise<void> {
  const counted = createMetrics({ version: "t", nodeVersion: "t", onnxruntimeVersion: "t" });
  publisher = await runPublisher(
    { stream: { closeGraceSeconds: 0.2, subscribersPerAddressMax: 20_000, ...stream }, ...rest },
    { metrics: counted, onEvent: (event) => counted.publisherEvent(event) },
  );
  publisher.offer({ epoch: "epoch-1", plans: [aPlan()] });
}

async function rawSocket(text = ""): Promise<Socket> {
  const raw = connect(publisher.port, "127.0.0.1");
  raws.push(raw);
  raw.on("error", () => undefined);
  await once(raw, "connect");
  if (text !== "") raw.write(text);
  return raw;
}

async function upgraded(handshake = HANDSHAKE): Promise<Socket> {
  const raw = await rawSocket(handshake);
  const [head] = (await once(raw, "data")) as [Buffer];
  expect(head.toString("latin1")).toMatch(/^HTTP\/1.1 101 /);
  return raw;
}

async function subscribed(hello: object = {}): Promise<StreamClient> {
  const client = await StreamClient.subscribed(publisher.updatesUrl, hello);
  clients.push(client);
  await client.frame(0);
  return client;
}

/** The value of a counter with this label, as /metrics shows it. */
async function counted(line: string): Promise<number> {
  const text = await (await fetch(`${publisher.httpUrl}/metrics`)).text();
  const found = text.split("\n").find((each) => each.startsWith(line));
  return Number(found?.slice(line.length + 1) ?? 0);
}

/** Everything the socket sends until it closes. */
async function everything(raw: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  raw.on("data", (chunk: Buffer) => chunks.push(chunk));
  await until(() => raw.closed, { what: "the close of a raw socket" });
  return Buffer.concat(chunks);
}

const refused = (cause: string): string => `scission_stream_refused_total{cause="${cause}"}`;
const closed = (cause: string): string => `scission_stream_closed_total{cause="${cause}"}`;

describe("sockets that bring no request", () => {
  it.each([
    { what: "no HTTP", text: "\x16\x03\x01 hello\r\n\r\n", status: 400, cause: "bad-http" },
    {
      what: "a header without end",
      text: `GET / HTTP/1.1\r\nX: ${"x".repeat(40_000)}`,
      status: 431,
      cause: "headers-too-large",
    },
  ])("are answered with a reason, and counted: $what", async ({ text, status, cause }) => {
    await start();
    const answer = (await everything(await rawSocket(text))).toString();
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toMatch(/\{"error":\{"code":"[A-Z_]+","message":".+"\}\}$/);
    expect(await counted(refused(cause))).toBe(1);
  });

  it("are told when they take too long, and counted", async () => {
    await start({}, { http: { headersTimeoutSeconds: 0.1 } });
    const answer = await everything(await rawSocket("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "));
    expect(answer.toString()).toMatch(/^HTTP\/1.1 408 .*HEADERS_TIMEOUT/s);
    expect(await counted(refused("headers-timeout"))).toBe(1);
  });

  it("are closed and counted beyond the limit of open sockets", async () => {
    await start({}, { http: { connectionsMax: 3 } });
    const held = await Promise.all([rawSocket(), rawSocket(), rawSocket()]);
    const tooMany = await rawSocket();
    await until(() => tooMany.closed, { what: "the end of the fourth socket" });
    for (const raw of held) raw.destroy();
    // The question itself may come before the places are free, and is then one more of them.
    await until(async () => (await counted(refused("too-many-sockets")).catch(() => 0)) >= 1, {
      what: "its count",
    });
  });

  it("and requests answered with an error are counted by status", async () => {
    await start();
    await fetch(`${publisher.httpUrl}/nowhere`);
    await fetch(`${publisher.httpUrl}/api/v1/status`, { method: "DELETE" });
    expect(await counted('scission_http_refused_total{status="404"}')).toBe(1);
    expect(await counted('scission_http_refused_total{status="405"}')).toBe(1);
  });
});

describe("handshakes", () => {
  const without = HANDSHAKE.replace("Sec-WebSocket-Protocol: scission.updates.v1\r\n", "");
  const version = HANDSHAKE.replace("13", "7");
  const foreign = HANDSHAKE.replace("Host: x", "Host: x\r\nOrigin: http://y");
  const elsewhere = HANDSHAKE.replace("/updates", "/elsewhere");
  it.each([
    { what: "no subprotocol", text: without, status: 400, cause: "wrong-subprotocol" },
    {
      what: "another subprotocol",
      text: HANDSHAKE.replace(".v1", ".v0"),
      status: 400,
      cause: "wrong-subprotocol",
    },
    { what: "another path", text: elsewhere, status: 404, cause: "wrong-path" },
    { what: "another version", text: version, status: 400, cause: "bad-handshake" },
    {
      what: "no key",
      text: HANDSHAKE.replace("AAAA==", ""),
      status: 400,
      cause: "bad-handshake",
    },
    { what: "a foreign page", text: foreign, status: 403, cause: "origin" },
  ])("of $what are refused with a reason, and counted", async ({ text, status, cause }) => {
    await start();
    const answer = (await everything(await rawSocket(text))).toString();
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toMatch(/\{"error":\{"code":"[A-Z_]+","message":".+"\}\}$/);
    expect(await counted(refused(cause))).toBe(1);
  });

  it("of another version are told which versions are spoken", async () => {
    await start();
    const answer = (await everything(await rawSocket(version))).toString();
    const versions = /^Sec-WebSocket-Version: (.+)$/im.exec(answer)?.[1]?.trim().split(", ") ?? [];
    expect(versions).toContain("13");
    for (const each of versions) (await upgraded(HANDSHAKE.replace("13", each))).destroy();
  });
});

describe("half-open frames", () => {
  it("end with the hello time-out where nobody has subscribed", async () => {
    await start({ helloTimeoutSeconds: 0.1 });
    const raw = await upgraded();
    // The header of a masked text frame of 100 bytes, and nothing behind it.
    raw.write(Buffer.from([0x81, 0x80 | 100, 1, 2, 3, 4]));
    const bytes = await everything(raw);
    expect(bytes.includes(Buffer.from([4001 >> 8, 4001 & 0xff]))).toBe(true);
    expect(await counted(closed("hello-timeout"))).toBe(1);
  });

  it("end with unanswered pings where somebody has", async () => {
    await start({ pingSeconds: 0.05 });
    const raw = await upgraded();
    const hello = Buffer.from('{"type":"subscribe"}');
    raw.write(Buffer.concat([Buffer.from([0x81, 0x80 | hello.length, 0, 0, 0, 0]), hello]));
    raw.write(Buffer.from([0x81, 0x80 | 100, 1, 2, 3, 4]));
    await everything(raw);
    expect(await counted(closed("silent"))).toBe(1);
  });

  it("of a size beyond the limit end at their header, before any of their content", async () => {
    await start();
    const raw = await upgraded();
    raw.write(Buffer.from([0x81, 0x80 | 127, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4]));
    const bytes = await everything(raw);
    expect(bytes.includes(Buffer.from([1009 >> 8, 1009 & 0xff]))).toBe(true);
    expect(await counted(closed("protocol-error"))).toBe(1);
  });
});

describe("frames that break the rules of WebSocket", () => {
  /** Masked by zeros: as it is. */
  const frame = (first: number, content: readonly number[] = []): number[] => [
    ...[first, 0x80 | content.length, 0, 0, 0, 0],
    ...content,
  ];
  const begun = frame(0x01, [0x41]);
  const continued = Array.from({ length: 70 }, () => frame(0x00, [0x41])).flat();
  it.each([
    { what: "no UTF-8", bytes: frame(0x81, [0xff]), code: 1007 },
    { what: "an unknown kind", bytes: frame(0x83), code: 1002 },
    { what: "no mask", bytes: [0x81, 0x01, 0x41], code: 1002 },
    { what: "fragment after fragment", bytes: [...begun, ...continued], code: 1008 },
  ])("end the connection with a reason, and are counted: $what", async ({ bytes, code }) => {
    await start();
    const observer = await subscribed();
    const raw = await upgraded();
    raw.write(Buffer.from(bytes));
    const closing = await everything(raw);
    expect(closing[0]).toBe(0x88);
    expect(closing.readUInt16BE(2)).toBe(code);
    expect(closing.toString("utf8", 4)).toMatch(/[a-z]{3}/);
    expect(await counted(closed("protocol-error"))).toBe(1);
    expect(observer.closeCode).toBeUndefined();
  });
});

describe("many at once", () => {
  it(`${SILENT_CONNECTIONS} that say nothing hold nobody up, and are closed and counted`, async () => {
    const places = { subscribersMax: 2 * SILENT_CONNECTIONS };
    const http = { connectionsMax: 2 * SILENT_CONNECTIONS };
    await start({ helloTimeoutSeconds: 5, ...places }, { http });
    const observer = await subscribed();
    const words = [SILENT_SOCKETS, `${publisher.port}`, `${SILENT_CONNECTIONS}`, HANDSHAKE];
    const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
    const told: object[] = [];
    createInterface(child.stdout).on("line", (line) => told.push(JSON.parse(line) as object));
    const ended = once(child, "exit");
    try {
      await until(() => told.length > 0, { timeoutMs: 60_000, what: "all connections" });
      expect(told[0]).toEqual({ opened: SILENT_CONNECTIONS });
      publisher.offer({ epoch: "epoch-1", plans: [aPlan({ revision: 2 })] });
      await until(() => observer.applied().get("camera") === 2, { what: "the update" });
      await until(() => told.length > 1, { timeoutMs: 60_000, what: "all closes" });
      expect(told[1]).toEqual({ closed: { 4001: SILENT_CONNECTIONS } });
    } finally {
      child.kill("SIGKILL");
      await ended;
    }
    expect(await counted(closed("hello-timeout"))).toBe(SILENT_CONNECTIONS);
    expect(observer.closeCode).toBeUndefined();
    expect(publisher.subscribers()).toBe(1);
  }, 180_000);

  it(`${STORM_CONNECTIONS} reconnections of one runtime leave one, and observers alone`, async () => {
    await start();
    const observer = await subscribed();
    for (let storm = 0; storm < STORM_CONNECTIONS; storm += STORM_AT_ONCE) {
      const some = Array.from({ length: STORM_AT_ONCE }, async () => {
        const socket = new WebSocket(publisher.updatesUrl, ["scission.updates.v1"]);
        socket.on("error", () => undefined);
        await once(socket, "open");
        socket.send('{"type":"subscribe","role":"runtime","node":"cam-1"}');
        if (storm % 2 === 0) socket.terminate();
      });
      await Promise.all(some);
    }
    const last = await subscribed({ role: "runtime", node: "cam-1" });
    publisher.offer({ epoch: "epoch-1", plans: [aPlan({ revision: 2 })] });
    await until(() => observer.applied().get("camera") === 2, { what: "the update" });
    await until(() => publisher.subscribers() === 2, { timeoutMs: 10_000, what: "two to be left" });
    expect(last.closeCode).toBeUndefined();
    const ended = (await counted(closed("replaced"))) + (await counted(closed("client")));
    expect(ended).toBe(STORM_CONNECTIONS);
  });
});

describe("answers of others", () => {
  it("forged, replayed and for another's node change nothing, and are counted", async () => {
    await start();
    const runtime = await subscribed({ role: "runtime", node: "cam-1" });
    const forger = await subscribed({ role: "runtime", node: "gpu-1" });
    const [snapshot] = runtime.frames;
    const nonce = snapshot !== undefined && "nonce" in snapshot ? snapshot.nonce : "";
    const held = (node: string) =>
      publisher
        .subscriberList()
        .find((each) => each.node === node)
        ?.revisions.get("camera");
    // A nonce names a frame, so that the forger's own snapshot has the same one: it answers for itself.
    forger.send({ type: "ack", nonce });
    await until(() => held("gpu-1") === 1, { what: "the forger's own acknowledgement" });
    expect(held("cam-1")).toBeUndefined();
    for (const type of ["ack", "active", "ready"]) forger.send({ type, nonce });
    forger.send({ type: "ack", nonce: "1-forged" });
    const stale = 'scission_stream_answers_total{result="stale"}';
    await until(async () => (await counted(stale)) === 4, { what: "stale answers" });
    expect(held("cam-1")).toBeUndefined();
    runtime.send({ type: "ack", nonce });
    await until(() => held("cam-1") === 1, { what: "the runtime's acknowledgement" });
  });
});
