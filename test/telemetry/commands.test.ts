import { expect, it } from "vitest";
import { AppError } from "../../src/core/index.js";
import type { NodeState } from "../../src/protocol/index.js";
import { until } from "../support/poll.js";
import { describeWithBrokers, join, stranger } from "../support/telemetry-session.js";

describeWithBrokers("commands", ({ broker, closers }) => {
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
    const agent = await join(closers, { url, node: "cam-1" }, { handlers: { commands } });
    const edge = await join(
      closers,
      { url, node: "edge-1" },
      { handlers: { onNodeState: () => undefined } },
    );
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
    const client = await stranger(closers, url);
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
    const edge = await join(
      closers,
      { url, node: "edge-1" },
      {
        handlers: { onNodeState: (state) => seen.push(state) },
      },
    );
    const agent = await join(closers, { url, node: "cam-1" }, { handlers: { commands } });
    await until(() => agent.connected && seen.some(({ node }) => node === "cam-1"));
    const answer = edge.command("cam-1", "hang", {}, { timeoutMs: 20_000 });
    const failed = expect(answer).rejects.toMatchObject({ code: "NODE_LOST" });
    await agent.stop();
    await join(closers, { url, node: "cam-1" }, { handlers: { commands }, bootId: "boot-2" });
    await failed;
  });

  it("does not obey a retained command", async () => {
    const { url } = await broker();
    const ran: unknown[] = [];
    const client = await stranger(closers, url);
    const topic = "scission/v1/lab/nodes/cam-1/commands/work";
    await client.publishAsync(topic, '{"id":"old"}', { qos: 1, retain: true });
    const commands = new Map([["work", (command: unknown) => Promise.resolve(ran.push(command))]]);
    const agent = await join(closers, { url, node: "cam-1" }, { handlers: { commands } });
    await until(() => agent.counters().retained === 1);
    expect(ran).toEqual([]);
  });
});
