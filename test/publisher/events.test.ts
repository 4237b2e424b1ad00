import { afterEach, describe, expect, it } from "vitest";
import { type ServerMessage, serverMessageSchema } from "../../src/protocol/index.js";
import { aPlan } from "../support/plans.js";
import { until } from "../support/poll.js";
import { type RunningPublisher, runPublisher } from "../support/publisher.js";
import { StreamClient } from "../support/stream-client.js";

const epoch = "epoch-1";

let teardown: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of teardown.reverse()) await step();
  teardown = [];
});

async function start(options: Record<string, unknown> = {}): Promise<RunningPublisher> {
  const publisher = await runPublisher(options);
  teardown.push(() => publisher.stop());
  return publisher;
}

interface Reader {
  status: number;
  type: string | null;
  names: string[];
  messages: ServerMessage[];
  isEnded: boolean;
}

/** Reads server-sent events as the specification splits them. */
async function read(publisher: RunningPublisher, query = ""): Promise<Reader> {
  const stop = new AbortController();
  teardown.push(() => stop.abort());
  const url = `${publisher.httpUrl}/api/v1/events${query}`;
  const response = await fetch(url, { signal: stop.signal });
  const reader: Reader = {
    status: response.status,
    type: response.headers.get("content-type"),
    names: [],
    messages: [],
    isEnded: false,
  };
  void (async () => {
    let text = "";
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const events = text.split("\n\n");
      text = events.pop()!;
      for (const event of events) {
        const [, name] = /^event: (.*)$/m.exec(event) ?? [];
        const [, data] = /^data: (.*)$/m.exec(event) ?? [];
        if (name === undefined || data === undefined) continue;
        reader.names.push(name);
        if (name !== "close") reader.messages.push(serverMessageSchema.parse(JSON.parse(data)));
      }
    }
    reader.isEnded = true;
  })().catch(() => undefined);
  return reader;
}

describe("server-sent events", () => {
  it("carry the very frames of the update stream", async () => {
    const publisher = await start();
    publisher.offer({ epoch, plans: [aPlan()] });
    const reader = await read(publisher);
    const socket = await StreamClient.subscribed(publisher.updatesUrl);
    expect([reader.status, reader.type]).toEqual([200, "text/event-stream"]);
    await until(() => reader.messages.length === 1);
    await socket.frame(0);
    publisher.offer({ epoch, plans: [aPlan({ revision: 2 })] });
    await until(() => reader.messages.length === 2);
    publisher.offer({ epoch, plans: [] });
    await until(() => reader.messages.length === 3);
    await socket.frame(2);
    expect(reader.messages).toEqual(socket.frames);
    expect(reader.names).toEqual(["snapshot", "update", "removed"]);
    const answer = await fetch(`${publisher.httpUrl}/api/v1/pipelines/camera/plan`);
    expect(answer.status).toBe(404);
  });

  it("carry the document that HTTP serves, of the pipelines asked for", async () => {
    const publisher = await start();
    publisher.offer({ epoch, plans: [aPlan(), aPlan({ pipeline: "door" })] });
    const reader = await read(publisher, "?pipeline=door");
    const message = await until(() => reader.messages[0]);
    const answer = await fetch(`${publisher.httpUrl}/api/v1/pipelines/door/plan`);
    expect(message).toMatchObject({ plans: [await answer.json()], revisions: { door: 1 } });
  });

  it("keep the connection alive, and end when the daemon stops", async () => {
    const publisher = await start({ stream: { heartbeatSeconds: 0.05, pingSeconds: 0.05 } });
    publisher.offer({ epoch, plans: [] });
    const reader = await read(publisher);
    await until(() => reader.names.filter((name) => name === "heartbeat").length > 5);
    expect(publisher.subscribers()).toBe(1);
    await publisher.stop();
    await until(() => reader.isEnded);
    expect(reader.names.at(-1)).toBe("close");
  });

  it("count among the subscribers and end with the reader", async () => {
    const publisher = await start({ stream: { subscribersMax: 1 } });
    publisher.offer({ epoch, plans: [] });
    const stop = new AbortController();
    await fetch(`${publisher.httpUrl}/api/v1/events`, { signal: stop.signal });
    expect((await fetch(`${publisher.httpUrl}/api/v1/events`)).status).toBe(503);
    stop.abort();
    await until(() => publisher.subscribers() === 0);
    expect((await read(publisher)).status).toBe(200);
  });

  it("refuse strangers, foreign origins and queries that are none", async () => {
    const clients = [{ name: "one", role: "observer", tokenSha256: "0".repeat(64) }];
    const guarded = await start({ clients });
    expect((await fetch(`${guarded.httpUrl}/api/v1/events`)).status).toBe(401);
    const publisher = await start();
    const url = `${publisher.httpUrl}/api/v1/events`;
    expect((await fetch(url, { headers: { origin: "https://evil.example" } })).status).toBe(403);
    expect((await fetch(`${url}?pipeline=A%20B`)).status).toBe(400);
    expect((await fetch(url, { method: "HEAD" })).status).toBe(200);
    expect(publisher.subscribers()).toBe(0);
  });
});
