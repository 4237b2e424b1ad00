import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { aPlan } from "../support/plans.js";
import { until } from "../support/poll.js";
import { type RunningPublisher, runPublisher } from "../support/publisher.js";
import { StreamClient } from "../support/stream-client.js";

const epoch = "epoch-1";
let publisher: RunningPublisher;
let sockets: WebSocket[] = [];
afterEach(async () => {
  for (const socket of sockets) socket.terminate();
  sockets = [];
  await publisher.stop();
});

async function start(stream: Record<string, unknown> = {}, rest: object = {}): Promise<void> {
  publisher = await runPublisher({ stream: { closeGraceSeconds: 0.2, ...stream }, ...rest });
  publisher.offer({ epoch, plans: [aPlan()] });
}

async function opened(hello?: object): Promise<StreamClient> {
  const client =
    hello === undefined
      ? await StreamClient.open(publisher.updatesUrl)
      : await StreamClient.subscribed(publisher.updatesUrl, hello);
  sockets.push(client.socket);
  return client;
}

/** The HTTP status that refuses this handshake; 101 where it is taken. */
async function handshake(
  path: string,
  request: { protocols?: string[]; headers?: Record<string, string> } = {},
): Promise<number> {
  const { protocols = ["scission.updates.v1"], headers = {} } = request;
  const socket = new WebSocket(`ws://127.0.0.1:${publisher.port}${path}`, protocols, { headers });
  sockets.push(socket);
  return await new Promise((resolve) => {
    socket.on("error", () => undefined);
    socket.on("open", () => resolve(101));
    socket.on("unexpected-response", (clientRequest, response) => {
      resolve(response.statusCode ?? 0);
      clientRequest.destroy();
    });
  });
}

/** A fresh subscriber is still served. */
async function expectServing(): Promise<void> {
  const client = await opened({});
  expect(await client.frame(0)).toMatchObject({ type: "snapshot" });
}

/** The end of a connection whose client broke the protocol was counted. */
async function expectCounted(): Promise<void> {
  await until(() =>
    publisher.events.some(
      (event) => event.kind === "connection-closed" && event.cause === "protocol-error",
    ),
  );
}

describe("hostile messages", () => {
  it.each<[string, (string | Buffer)[], number]>([
    ["no JSON", ["{"], 4002],
    ["an empty message", [""], 4002],
    ["an unknown type", ['{"type":"nonsense"}'], 4002],
    ["an unknown member", ['{"type":"subscribe","extra":1}'], 4002],
    [
      "a wrong name, with text no close frame can hold",
      [`{"type":"subscribe","é${"ß".repeat(300)}":1}`],
      4002,
    ],
    ["a binary message", [Buffer.from([1, 2, 3])], 4002],
    ["an answer before the subscription", ['{"type":"ack","nonce":"n"}'], 4002],
    ["two subscriptions", ['{"type":"subscribe"}', '{"type":"subscribe"}'], 4002],
    ["a message beyond the limit", ["x".repeat(70_000)], 1009],
  ])("closes a client that sends %s", async (_, messages, code) => {
    await start();
    const client = await opened();
    for (const message of messages) client.send(message);
    expect(await client.closed()).toBe(code);
    await expectCounted();
    // What ws itself refuses has a code that says it all.
    if (code >= 4000) expect(client.closeReason).not.toBe("");
    await expectServing();
  });

  it("takes nothing from a poisoned prototype", async () => {
    await start();
    const client = await opened();
    client.send('{"type":"subscribe","have":{"epoch":"epoch-1","revisions":{"__proto__":1}}}');
    expect(await client.frame(0)).toMatchObject({ plans: [{ pipeline: "camera" }] });
    expect(publisher.subscriberList()[0]?.revisions).toEqual(new Map([["camera", 1]]));
  });

  it("closes a client that floods, also with valid messages", async () => {
    await start({ messagesPerSecondMax: 20 });
    const client = await opened({});
    for (let count = 0; count < 30; count += 1) client.send({ type: "ack", nonce: "forged" });
    expect(await client.closed()).toBe(4002);
    expect(client.closeReason).not.toBe("");
    await expectCounted();
    await expectServing();
  });

  it("closes a client that floods fragments", async () => {
    await start();
    const client = await opened();
    for (let count = 0; count < 100; count += 1) client.socket.send("x", { fin: false });
    expect(await client.closed()).toBe(1008);
    await expectCounted();
    await expectServing();
  });

  it("survives invalid UTF-8 and frames that are none", async () => {
    await start();
    const invalid = await opened();
    invalid.socket.send(Buffer.from([0xff, 0xfe]), { binary: false });
    expect(await invalid.closed()).toBe(1007);
    await expectCounted();
    const raw = connect(publisher.port, "127.0.0.1");
    raw.on("error", () => undefined);
    raw.write(
      "GET /api/v1/updates HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" +
        "Sec-WebSocket-Protocol: scission.updates.v1\r\n\r\n",
    );
    await once(raw, "data");
    raw.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
    await until(() => raw.closed, { what: "the raw socket's close" });
    await expectServing();
  });
});

describe("handshake", () => {
  it("refuses other paths and subprotocols", async () => {
    await start();
    expect(await handshake("/elsewhere")).toBe(404);
    expect(await handshake("/api/v1/updates", { protocols: [] })).toBe(400);
    expect(await handshake("/api/v1/updates", { protocols: ["scission.updates.v0"] })).toBe(400);
    expect(await handshake("/api/v1/updates?x=1")).toBe(101);
  });

  it("refuses pages of foreign origins, DNS rebinding included", async () => {
    await start({}, { allowedOrigins: ["https://dashboard.example/"] });
    const from = (origin: string, host?: string): Promise<number> =>
      handshake("/api/v1/updates", {
        headers: { Origin: origin, ...(host === undefined ? {} : { Host: host }) },
      });
    expect(await from("https://evil.example")).toBe(403);
    expect(await from("null")).toBe(403);
    expect(
      await from(`http://evil.example:${publisher.port}`, `evil.example:${publisher.port}`),
    ).toBe(403);
    expect(await from("http://127.0.0.1:1")).toBe(403);
    expect(await from(publisher.httpUrl)).toBe(101);
    expect(await from("https://dashboard.example")).toBe(101);
  });

  it("limits connections per address and in total, and gives places back", async () => {
    await start({ subscribersMax: 3, subscribersPerAddressMax: 2 });
    const first = await opened({});
    await opened({});
    expect(await handshake("/api/v1/updates")).toBe(429);
    first.socket.terminate();
    await until(() => publisher.subscribers() === 1);
    expect(await handshake("/api/v1/updates")).toBe(101);
    await publisher.stop();
    await start({ subscribersMax: 1 });
    await opened({});
    expect(await handshake("/api/v1/updates")).toBe(503);
    expect(publisher.events).toContainEqual({ kind: "connection-refused", cause: "too-many" });
  });

  it("ends a client that sends its headers too slowly", async () => {
    await start({}, { http: { headersTimeoutSeconds: 0.1 } });
    const raw = connect(publisher.port, "127.0.0.1");
    raw.on("error", () => undefined);
    raw.write("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    const [answer] = (await once(raw, "data")) as [Buffer];
    expect(answer.toString()).toContain("408");
    raw.destroy();
  });
});

describe("silent and slow clients", () => {
  it("closes who never subscribes", async () => {
    await start({ helloTimeoutSeconds: 0.05 });
    const client = await opened();
    expect(await client.closed()).toBe(4001);
  });

  it("closes a runtime that does not answer, and leaves an observer alone", async () => {
    await start({ ackTimeoutSeconds: 0.05 });
    const observer = await opened({});
    const runtime = await opened({ role: "runtime" });
    expect(await runtime.closed()).toBe(4003);
    expect(observer.closeCode).toBeUndefined();
  });

  it("drops who answers no pings", async () => {
    await start({ pingSeconds: 0.03 });
    const socket = new WebSocket(publisher.updatesUrl, ["scission.updates.v1"], {
      autoPong: false,
    });
    sockets.push(socket);
    await once(socket, "open");
    socket.send(JSON.stringify({ type: "subscribe" }));
    await once(socket, "close");
    await until(() => publisher.events.some((event) => event.kind === "connection-closed"));
    expect(publisher.events).toContainEqual({ kind: "connection-closed", cause: "silent" });
  });

  it("drops a client that stops reading; the others get every revision meanwhile", async () => {
    await start({ flushTimeoutSeconds: 0.5 });
    const stalled = await opened({});
    const others = await Promise.all(Array.from({ length: 5 }, () => opened({})));
    await Promise.all([stalled, ...others].map((client) => client.frame(0)));
    stalled.socket.pause();
    const reason = "x".repeat(1_000_000);
    const OFFERS = 20;
    for (let revision = 2; revision <= OFFERS; revision += 1) {
      publisher.offer({ epoch, plans: [aPlan({ revision, reason })] });
      await until(() => others.every((client) => client.applied().get("camera") === revision));
    }
    for (const client of others) expect(client.frames).toHaveLength(OFFERS);
    const updates = publisher.events.filter(
      (event) => event.kind === "frame-sent" && event.type === "update",
    );
    // What the kernel's buffers did not take was never queued for the stalled client.
    expect(updates.length).toBeLessThan((others.length + 1) * (OFFERS - 1));
    await until(() => publisher.subscribers() === others.length);
    expect(publisher.events).toContainEqual({ kind: "connection-closed", cause: "too-slow" });
  });

  it("stops in time although a client does not read", async () => {
    await start();
    const stalled = await opened({});
    await stalled.frame(0);
    stalled.socket.pause();
    publisher.offer({ epoch, plans: [aPlan({ revision: 2, reason: "x".repeat(20_000_000) })] });
    await until(() =>
      publisher.events.some((event) => event.kind === "frame-sent" && event.type === "update"),
    );
    await publisher.stop();
    expect(publisher.subscribers()).toBe(0);
  });
});
