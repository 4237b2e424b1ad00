import { expect, it } from "vitest";
import { type Clock, systemClock } from "../../src/core/index.js";
import type { NodeState } from "../../src/protocol/index.js";
import type { LinkEvent } from "../../src/telemetry/index.js";
import { until } from "../support/poll.js";
import {
  describeWithBrokers,
  join,
  stateOf,
  stateTopic,
  stranger,
} from "../support/telemetry-session.js";

describeWithBrokers("what telemetry takes", ({ broker, closers }) => {
  it("counts and drops whatever is wrong, and still hears what is right", async () => {
    const { url } = await broker();
    const links: LinkEvent[] = [];
    const states: NodeState[] = [];
    const edge = await join(
      closers,
      { url, node: "edge-1" },
      {
        handlers: {
          onLink: (event) => links.push(event),
          onNodeState: (state) => states.push(state),
          onProfile: () => undefined,
          knowsNode: (node) => node !== "mallory",
        },
      },
    );
    await until(() => edge.connected);
    const client = await stranger(closers, url);
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
    const edge = await join(
      closers,
      { url, node: "edge-1" },
      {
        handlers: { onLink: (event) => links.push(event) },
      },
    );
    await until(() => edge.connected);
    const client = await stranger(closers, url);
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

  it("understands a clock that is always off by the same", async () => {
    const { url } = await broker();
    const links: LinkEvent[] = [];
    let passedMs = 0;
    const clock: Clock = {
      ...systemClock,
      nowMs: () => systemClock.nowMs() + passedMs,
      monotonicMs: () => systemClock.monotonicMs() + passedMs,
    };
    const handlers = { onLink: (event: LinkEvent) => links.push(event) };
    const edge = await join(closers, { url, node: "edge-1" }, { handlers, clock });
    await until(() => edge.connected);
    const client = await stranger(closers, url);
    const tell = (rttMs: number, behindMs: number): Promise<unknown> => {
      const report = { rttMs, source: "router", at: Math.round(clock.nowMs()) - behindMs };
      return client.publishAsync("scission/v1/lab/links/cam-1/edge-1", JSON.stringify(report));
    };
    for (let count = 1; count <= 4; count += 1) {
      await tell(count, 120_000);
      await until(() => edge.counters()["too-old"] === count);
      passedMs += 3_000;
    }
    await tell(5, 120_000);
    await until(() => links.some(({ report }) => report.rttMs === 5));
    await tell(6, 140_000);
    const late = await until(() => links.find(({ report }) => report.rttMs === 6));
    const ageMs = clock.monotonicMs() - late.measuredMonotonicMs;
    expect(ageMs).toBeGreaterThan(18_000);
    expect(ageMs).toBeLessThan(30_000);
    await tell(7, 3_600_000);
    await until(() => edge.counters()["too-old"] === 5);
    expect(links.map(({ report }) => report.rttMs)).toEqual([5, 6]);
  });
});
