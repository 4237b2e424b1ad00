import type { MqttClient } from "mqtt";
import { afterEach, describe, expect, it } from "vitest";
import { silentLogger } from "../../src/core/index.js";
import { brokerOptionsSchema, startBroker } from "../../src/telemetry/index.js";
import { until } from "../support/poll.js";
import { join, stranger } from "../support/telemetry-session.js";

const log = silentLogger;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe("embedded broker", () => {
  it("keeps trying after a wrong password and says so, without telling the password", async () => {
    const options = brokerOptionsSchema.parse({ port: 0, username: "u", password: "right" });
    const broker = await startBroker(options, { log });
    closers.push(() => broker.stop());
    const wrong = await join(
      closers,
      { url: broker.url, node: "cam-1" },
      { mqtt: { username: "u", password: "wrong" } },
    );
    const problem = await until(() => (wrong.problem?.includes("login") ? wrong.problem : ""));
    expect(problem).not.toContain("wrong");
    const right = await join(
      closers,
      { url: broker.url, node: "cam-2" },
      { mqtt: { username: "u", password: "right" } },
    );
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
      const client = await stranger(closers, broker.url);
      const closed = new Promise<void>((resolve) => client.once("close", () => resolve()));
      attack(client);
      await closed;
    }
    const client = await stranger(closers, broker.url);
    await client.publishAsync("one", "still works", { qos: 1, retain: true });
  });
});
