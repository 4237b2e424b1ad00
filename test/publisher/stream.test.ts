import { afterEach, describe, expect, it } from "vitest";
import { aPlan } from "../support/plans.js";
import { until } from "../support/poll.js";
import { type RunningPublisher, runPublisher } from "../support/publisher.js";
import { StreamClient } from "../support/stream-client.js";

let running: RunningPublisher[] = [];
afterEach(async () => {
  await Promise.all(running.map((publisher) => publisher.stop()));
  running = [];
});

async function start(...parameters: Parameters<typeof runPublisher>): Promise<RunningPublisher> {
  const publisher = await runPublisher(...parameters);
  running.push(publisher);
  return publisher;
}

const epoch = "epoch-1";

describe("update stream", () => {
  it("brings a new subscriber the snapshot, then each change", async () => {
    const publisher = await start();
    publisher.offer({ epoch, plans: [aPlan()] });
    const client = await StreamClient.subscribed(publisher.updatesUrl);
    expect(await client.frame(0)).toMatchObject({
      type: "snapshot",
      epoch,
      revisions: { camera: 1 },
      plans: [{ pipeline: "camera", revision: 1 }],
    });
    publisher.offer({ epoch, plans: [aPlan({ revision: 2 })] });
    expect(await client.frame(1)).toMatchObject({ type: "update", plan: { revision: 2 } });
    publisher.offer({ epoch, plans: [] });
    expect(await client.frame(2)).toMatchObject({ type: "removed", pipeline: "camera" });
  });

  it("waits for the first offer before it answers a subscriber", async () => {
    const publisher = await start();
    const client = await StreamClient.subscribed(publisher.updatesUrl);
    await until(() => publisher.subscribers() === 1);
    expect(client.messages).toEqual([]);
    publisher.offer({ epoch, plans: [] });
    expect(await client.frame(0)).toMatchObject({ type: "snapshot", revisions: {}, plans: [] });
  });

  it("sends on resume only what differs, and names what is gone", async () => {
    const publisher = await start();
    publisher.offer({
      epoch,
      plans: [aPlan(), aPlan({ pipeline: "door", revision: 7 })],
    });
    const client = await StreamClient.subscribed(publisher.updatesUrl, {
      have: { epoch, revisions: { camera: 1, door: 6, gate: 3 } },
    });
    expect(await client.frame(0)).toMatchObject({
      revisions: { camera: 1, door: 7 },
      plans: [{ pipeline: "door", revision: 7 }],
    });
  });

  it("sends everything to a client of another epoch, higher revisions or not", async () => {
    const publisher = await start();
    publisher.offer({ epoch, plans: [aPlan()] });
    const client = await StreamClient.subscribed(publisher.updatesUrl, {
      have: { epoch: "lost", revisions: { camera: 1 } },
    });
    expect(await client.frame(0)).toMatchObject({ plans: [{ pipeline: "camera", revision: 1 }] });
  });

  it("sends only the pipelines subscribed to", async () => {
    const publisher = await start();
    const client = await StreamClient.subscribed(publisher.updatesUrl, { pipelines: ["door"] });
    publisher.offer({ epoch, plans: [aPlan(), aPlan({ pipeline: "door" })] });
    expect(await client.frame(0)).toMatchObject({ revisions: { door: 1 } });
    publisher.offer({
      epoch,
      plans: [aPlan({ revision: 2 }), aPlan({ pipeline: "door", revision: 2 })],
    });
    expect(await client.frame(1)).toMatchObject({ plan: { pipeline: "door", revision: 2 } });
  });

  it("gives a runtime the next frame only after its answer, and then the newest", async () => {
    const publisher = await start();
    publisher.offer({ epoch, plans: [aPlan()] });
    const runtime = await StreamClient.subscribed(publisher.updatesUrl, { role: "runtime" });
    const snapshot = await runtime.frame(0);
    const observer = await StreamClient.subscribed(publisher.updatesUrl);
    for (let revision = 2; revision <= 5; revision += 1) {
      publisher.offer({ epoch, plans: [aPlan({ revision })] });
      await until(() => observer.applied().get("camera") === revision);
    }
    runtime.send({ type: "ack", nonce: "stale" });
    await until(() => publisher.events.some((event) => event.kind === "answer"));
    expect(runtime.frames).toHaveLength(1);
    runtime.send({ type: "ack", nonce: snapshot.nonce });
    expect(await runtime.frame(1)).toMatchObject({ plan: { revision: 5 } });
  });

  it("reports a rejection, keeps the last good revision and does not send that one again", async () => {
    const rejections: unknown[] = [];
    const publisher = await start({}, { onReject: (rejection) => rejections.push(rejection) });
    publisher.offer({ epoch, plans: [aPlan()] });
    const runtime = await StreamClient.subscribed(publisher.updatesUrl, {
      role: "runtime",
      node: "cam-1",
    });
    runtime.send({ type: "ack", nonce: (await runtime.frame(0)).nonce });
    publisher.offer({ epoch, plans: [aPlan({ revision: 2 })] });
    runtime.send({ type: "reject", nonce: (await runtime.frame(1)).nonce, reason: "no memory" });
    await until(() => rejections.length > 0);
    expect(rejections).toEqual([
      { node: "cam-1", revisions: new Map([["camera", 2]]), reason: "no memory" },
    ]);
    expect(publisher.subscriberList()).toEqual([
      { role: "runtime", node: "cam-1", revisions: new Map([["camera", 1]]) },
    ]);
    publisher.offer({ epoch, plans: [aPlan({ revision: 2 }), aPlan({ pipeline: "door" })] });
    expect(await runtime.frame(2)).toMatchObject({ plan: { pipeline: "door" } });
  });

  it("tells the current revisions in heartbeats", async () => {
    const publisher = await start({ stream: { heartbeatSeconds: 0.02 } });
    publisher.offer({ epoch, plans: [aPlan({ revision: 3 })] });
    const client = await StreamClient.subscribed(publisher.updatesUrl);
    const heartbeat = await until(() =>
      client.messages.find((message) => message.type === "heartbeat"),
    );
    expect(heartbeat).toEqual({ type: "heartbeat", epoch, revisions: { camera: 3 } });
  });

  it("refuses an offer that goes back or contradicts itself", async () => {
    const publisher = await start();
    publisher.offer({ epoch, plans: [aPlan({ revision: 2 })] });
    expect(() => publisher.offer({ epoch, plans: [aPlan({ revision: 1 })] })).toThrow("goes back");
    expect(() => publisher.offer({ epoch, plans: [aPlan({ epoch: "other" })] })).toThrow("epoch");
    const twice = [aPlan({ revision: 3 }), aPlan({ revision: 3 })];
    expect(() => publisher.offer({ epoch, plans: twice })).toThrow("two plans");
  });

  it("closes every client with 1001 on stop, also when stopped twice", async () => {
    const publisher = await start();
    publisher.offer({ epoch, plans: [aPlan()] });
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => StreamClient.subscribed(publisher.updatesUrl)),
    );
    await until(() => publisher.subscribers() === 20);
    await Promise.all([publisher.stop(), publisher.stop()]);
    await publisher.stop();
    expect(await Promise.all(clients.map((client) => client.closed()))).toEqual(
      clients.map(() => 1001),
    );
  });

  it("serves two publishers in one process", async () => {
    const [first, second] = [await start(), await start()];
    first.offer({ epoch: "one", plans: [] });
    second.offer({ epoch: "two", plans: [] });
    const clients = [
      await StreamClient.subscribed(first.updatesUrl),
      await StreamClient.subscribed(second.updatesUrl),
    ];
    expect(await Promise.all(clients.map(async (client) => (await client.frame(0)).epoch))).toEqual(
      ["one", "two"],
    );
  });
});
