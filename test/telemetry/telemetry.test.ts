import { expect, it } from "vitest";
import type { NodeState } from "../../src/protocol/index.js";
import { until } from "../support/poll.js";
import {
  describeWithBrokers,
  join,
  stateOf,
  stateTopic,
  stranger,
} from "../support/telemetry-session.js";

describeWithBrokers("telemetry", ({ broker, closers }) => {
  it("tells who is online to those who come later, and who has left", async () => {
    const { url } = await broker();
    const agent = await join(closers, { url, node: "cam-1" });
    await until(() => agent.connected);
    const seen: NodeState[] = [];
    const gone: string[] = [];
    await join(
      closers,
      { url, node: "edge-1" },
      {
        handlers: {
          onNodeState: (state) => seen.push(state),
          onNodeGone: (node) => gone.push(node),
        },
      },
    );
    await until(() => seen.some(({ node, status }) => node === "cam-1" && status === "online"));
    await agent.stop();
    await until(() => seen.some(({ node, status }) => node === "cam-1" && status === "offline"));
    const admin = await stranger(closers, url);
    await admin.publishAsync(stateTopic("cam-1"), "", { qos: 1, retain: true });
    await until(() => gone.includes("cam-1"));
  });

  it("publishes the will of a node that vanishes", async () => {
    const { url } = await broker();
    const seen: NodeState[] = [];
    const edge = await join(
      closers,
      { url, node: "edge-1" },
      {
        handlers: { onNodeState: (state) => seen.push(state) },
      },
    );
    await until(() => edge.connected);
    const payload = Buffer.from(JSON.stringify({ ...stateOf("cam-1"), status: "offline" }));
    const dying = await stranger(closers, url, { topic: stateTopic("cam-1"), payload });
    await dying.publishAsync(stateTopic("cam-1"), JSON.stringify(stateOf("cam-1")), { qos: 1 });
    await until(() => seen.some(({ node, status }) => node === "cam-1" && status === "online"));
    dying.stream.destroy();
    await until(() => seen.some(({ node, status }) => node === "cam-1" && status === "offline"));
  });

  it("is not taken offline by an old will, its own or another's", async () => {
    const { url } = await broker();
    const seen: NodeState[] = [];
    const agent = await join(closers, { url, node: "cam-1" }, { bootId: "boot-2" });
    const edge = await join(
      closers,
      { url, node: "edge-1" },
      {
        handlers: { onNodeState: (state) => seen.push(state) },
      },
    );
    await until(() => seen.some(({ bootId }) => bootId === "boot-2") && agent.connected);
    const will = { ...stateOf("cam-1", "boot-1"), status: "offline" };
    const late = await stranger(closers, url);
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
    const agent = await join(closers, { url: started.url, node: "cam-1" });
    await until(() => agent.connected);
    const connections: boolean[] = [];
    const edge = await join(
      closers,
      { url: started.url, node: "edge-1" },
      {
        handlers: { onConnection: (connected) => connections.push(connected) },
      },
    );
    await until(() => edge.connected);
    agent.setState({ ...stateOf("cam-1"), logicalCores: 99 });
    await started.restart();
    await until(() => connections.length >= 3 && agent.connected);
    expect(connections).toEqual([true, false, true]);
    const client = await stranger(closers, started.url);
    const state = new Promise<string>((resolve) =>
      client.on("message", (_topic, payload) => resolve(payload.toString())),
    );
    await client.subscribeAsync(stateTopic("cam-1"));
    expect(JSON.parse(await state)).toMatchObject({ logicalCores: 99 });
  });

  it("says what is wrong while there is no broker, and queues no telemetry", async () => {
    const started = await broker();
    const edge = await join(closers, { url: started.url, node: "edge-1" });
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
});
