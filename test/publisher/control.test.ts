import { afterEach, describe, expect, it } from "vitest";
import { AppError } from "../../src/core/index.js";
import { tokenClient } from "../support/clients.js";
import { fixedApi, type RunningPublisher, runPublisher } from "../support/publisher.js";

let running: RunningPublisher[] = [];
afterEach(async () => {
  await Promise.all(running.map((publisher) => publisher.stop()));
  running = [];
});

const CLIENTS = [
  tokenClient("screen", "observer", { token: "eyes" }),
  tokenClient("boss", "admin", { token: "boss" }),
];

async function start(): Promise<{
  orders: unknown[];
  post: (body: string, headers?: Record<string, string>) => Promise<number>;
}> {
  const orders: unknown[] = [];
  const publisher = await runPublisher(
    { clients: CLIENTS },
    {
      api: fixedApi({
        control: (pipeline, order) => {
          if (pipeline !== "camera")
            return Promise.reject(new AppError("USAGE", "no such pipeline"));
          orders.push(order);
          return Promise.resolve();
        },
      }),
    },
  );
  running.push(publisher);
  return {
    orders,
    async post(body, headers = {}) {
      const { path = "camera", ...rest } = headers;
      const answer = await fetch(`${publisher.httpUrl}/api/v1/pipelines/${path}/control`, {
        method: "POST",
        body,
        headers: { authorization: "Bearer boss", "content-type": "application/json", ...rest },
      });
      return answer.status;
    },
  };
}

describe("operator control over HTTP", () => {
  it("takes each command from an admin, and says who it was", async () => {
    const { post, orders } = await start();
    const partitions = [{ node: "cam-1", firstLayer: 0, lastLayer: 9 }];
    for (const action of ["pause", "resume", "rollback", "replan", "bench"]) {
      expect(await post(JSON.stringify({ action }))).toBe(202);
    }
    expect(await post(JSON.stringify({ action: "pin", partitions }))).toBe(202);
    expect(orders).toHaveLength(6);
    expect(orders[5]).toEqual({ by: "boss", command: { action: "pin", partitions } });
  });

  it.each([
    [403, '{"action":"pause"}', { authorization: "Bearer eyes" }],
    [401, '{"action":"pause"}', { authorization: "Bearer wrong" }],
    [403, '{"action":"pause"}', { origin: "https://evil.example" }],
    [415, '{"action":"pause"}', { "content-type": "text/plain" }],
    [400, "no JSON", {}],
    [400, '{"action":"explode"}', {}],
    [400, '{"action":"pin","partitions":[]}', {}],
    [409, '{"action":"pause"}', { path: "door" }],
    [413, JSON.stringify({ action: "x".repeat(100_000) }), {}],
  ])("answers %d to %.40s with %o", async (status, body, headers) => {
    const { post, orders } = await start();
    expect(await post(body, headers as Record<string, string>)).toBe(status);
    expect(orders).toEqual([]);
  });
});
