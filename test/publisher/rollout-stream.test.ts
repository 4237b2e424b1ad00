import { afterEach, describe, expect, it } from "vitest";
import type { PlanDocument } from "../../src/protocol/index.js";
import type { RolloutOutcome } from "../../src/publisher/index.js";
import { aPlan } from "../support/plans.js";
import { until } from "../support/poll.js";
import { type RunningPublisher, runPublisher } from "../support/publisher.js";
import { StreamClient } from "../support/stream-client.js";

const epoch = "epoch-1";

let running: RunningPublisher[] = [];
afterEach(async () => {
  await Promise.all(running.map((publisher) => publisher.stop()));
  running = [];
});

/** A plan whose partitions run on these nodes; the first is the source. */
function planOn(nodes: readonly string[], revision: number): PlanDocument {
  const [partition] = aPlan().partitions;
  return aPlan({
    revision,
    source: nodes[0]!,
    partitions: nodes.map((node) => ({ ...partition!, node })),
  });
}

interface Bench {
  publisher: RunningPublisher;
  roll: (plan: PlanDocument, commit?: () => Promise<void>) => Promise<RolloutOutcome>;
  runtime: (node: string) => Promise<StreamClient>;
}

/** A publisher with revision 1 on cam-1 and gpu-1 in force. */
async function start(options: Record<string, unknown> = {}): Promise<Bench> {
  const publisher = await runPublisher(options);
  running.push(publisher);
  publisher.offer({ epoch, plans: [planOn(["cam-1", "gpu-1"], 1)] });
  return {
    publisher,
    roll: (plan, commit = () => Promise.resolve()) =>
      publisher.rollOut(plan, async () => {
        await commit();
        publisher.offer({ epoch, plans: [plan] });
      }),
    async runtime(node) {
      const client = await StreamClient.subscribed(publisher.updatesUrl, { role: "runtime", node });
      client.send({ type: "ack", nonce: (await client.frame(0)).nonce });
      return client;
    },
  };
}

async function ready(client: StreamClient, index: number): Promise<void> {
  const frame = await client.frame(index);
  expect(frame.type).toBe("prepare");
  client.send({ type: "ready", nonce: frame.nonce });
}

async function active(client: StreamClient, index: number): Promise<void> {
  const frame = await client.frame(index);
  expect(frame.type).toBe("activate");
  client.send({ type: "active", nonce: frame.nonce });
}

describe("a rollout over real sockets", () => {
  it("prepares all, then activates all, then retires; observers see one update", async () => {
    const { publisher, roll, runtime } = await start();
    const observer = await StreamClient.subscribed(publisher.updatesUrl);
    await observer.frame(0);
    const [camera, server] = [await runtime("cam-1"), await runtime("gpu-1")];
    const outcome = roll(planOn(["cam-1", "gpu-1"], 2));
    await ready(camera, 1);
    await until(() => publisher.rollouts()[0]?.waitingFor.length === 1);
    expect(publisher.rollouts()).toEqual([
      { pipeline: "camera", revision: 2, phase: "preparing", waitingFor: ["gpu-1"] },
    ]);
    expect(observer.frames).toHaveLength(1);
    await ready(server, 1);
    await active(camera, 2);
    const activate = await server.frame(2);
    expect(camera.frames.map(({ type }) => type)).not.toContain("retire");
    server.send({ type: "active", nonce: activate.nonce });
    expect(await outcome).toEqual({ kind: "active" });
    for (const client of [camera, server]) {
      expect(await client.frame(3)).toMatchObject({ type: "retire", revision: 2 });
    }
    expect(await observer.frame(1)).toMatchObject({ type: "update", plan: { revision: 2 } });
    expect(observer.frames).toHaveLength(2);
  });

  it("is over at once where no runtime takes part", async () => {
    const { roll, runtime } = await start();
    const stranger = await runtime("other-1");
    expect(await roll(planOn(["cam-1"], 2))).toEqual({ kind: "active" });
    expect(await stranger.frame(1)).toMatchObject({ type: "update", plan: { revision: 2 } });
  });

  it("tells nodes of the old plan alone, and waits for none of their answers", async () => {
    const { roll, runtime } = await start();
    const [camera, server] = [await runtime("cam-1"), await runtime("gpu-1")];
    const outcome = roll(planOn(["cam-1"], 2));
    await ready(camera, 1);
    await active(camera, 2);
    expect(await outcome).toEqual({ kind: "active" });
    expect(await camera.frame(3)).toMatchObject({ type: "retire", revision: 2 });
    // It was told of the outcome alone, and says nothing to it.
    expect(await server.frame(1)).toMatchObject({ type: "update", plan: { revision: 2 } });
    expect(await roll(planOn(["other-1"], 3))).toEqual({ kind: "active" });
  });

  it("brings a runtime that joins later the plan in force, and asks it from then on", async () => {
    const { roll, runtime } = await start();
    expect(await roll(planOn(["cam-1"], 2))).toEqual({ kind: "active" });
    const late = await runtime("cam-1");
    expect(late.frames).toMatchObject([{ type: "snapshot", plans: [{ revision: 2 }] }]);
    const outcome = roll(planOn(["cam-1"], 3));
    await ready(late, 1);
    await active(late, 2);
    expect(await outcome).toEqual({ kind: "active" });
  });

  it("asks a runtime that joins while others prepare", async () => {
    const { publisher, roll, runtime } = await start();
    const camera = await runtime("cam-1");
    const outcome = roll(planOn(["cam-1", "gpu-1"], 2));
    await camera.frame(1);
    const late = await runtime("gpu-1");
    await ready(camera, 1);
    await until(() => publisher.rollouts()[0]?.waitingFor.join() === "gpu-1");
    await ready(late, 1);
    await active(camera, 2);
    await active(late, 2);
    expect(await outcome).toEqual({ kind: "active" });
  });

  it("waits for no observer, also of those that stopped reading", async () => {
    const { publisher, roll, runtime } = await start();
    const silent = await StreamClient.subscribed(publisher.updatesUrl);
    await silent.frame(0);
    silent.socket.pause();
    const camera = await runtime("cam-1");
    const outcome = roll(planOn(["cam-1", "gpu-1"], 2));
    await ready(camera, 1);
    expect(publisher.rollouts().flatMap(({ waitingFor }) => waitingFor)).not.toContain("gpu-1");
    await active(camera, 2);
    expect(await outcome).toEqual({ kind: "active" });
    expect(silent.frames).toHaveLength(1);
    silent.socket.resume();
  });

  it("aborts when one rejects: the ready ones forget it, nobody switches", async () => {
    const { publisher, roll, runtime } = await start();
    const [camera, server] = [await runtime("cam-1"), await runtime("gpu-1")];
    const outcome = roll(planOn(["cam-1", "gpu-1"], 2));
    await ready(camera, 1);
    const prepare = await server.frame(1);
    server.send({ type: "reject", nonce: prepare.nonce, reason: "no memory" });
    expect(await outcome).toMatchObject({
      kind: "aborted",
      failures: [{ node: "gpu-1", cause: "rejected", reason: "no memory" }],
    });
    expect(await camera.frame(2)).toMatchObject({ type: "abort", revision: 2 });
    expect(camera.applied()).toEqual(new Map([["camera", 1]]));
    expect(publisher.rollouts()).toEqual([]);
    const next = roll(planOn(["cam-1"], 3));
    await ready(camera, 3);
    await active(camera, 4);
    expect(await next).toEqual({ kind: "active" });
    expect(await server.frame(2)).toMatchObject({ type: "update", plan: { revision: 3 } });
  });

  it("aborts when one vanishes", async () => {
    const { roll, runtime } = await start();
    const [camera, server] = [await runtime("cam-1"), await runtime("gpu-1")];
    const outcome = roll(planOn(["cam-1", "gpu-1"], 2));
    await ready(camera, 1);
    await server.frame(1);
    server.socket.terminate();
    expect(await outcome).toMatchObject({
      kind: "aborted",
      failures: [{ node: "gpu-1", cause: "vanished" }],
    });
  });

  it("aborts when one says nothing in time, and a late answer changes nothing", async () => {
    const { publisher, roll, runtime } = await start({ rollout: { prepareTimeoutSeconds: 0.2 } });
    const [camera, server] = [await runtime("cam-1"), await runtime("gpu-1")];
    const outcome = roll(planOn(["cam-1", "gpu-1"], 2));
    await ready(camera, 1);
    const prepare = await server.frame(1);
    expect(await outcome).toMatchObject({
      kind: "aborted",
      failures: [{ node: "gpu-1", cause: "timed-out" }],
    });
    await server.frame(2);
    server.send({ type: "ready", nonce: prepare.nonce });
    const isStale = (event: object): boolean => "result" in event && event.result === "stale";
    await until(() => publisher.events.some(isStale));
    expect(server.frames.map(({ type }) => type)).toEqual(["snapshot", "prepare", "abort"]);
  });

  it("aborts when the decision cannot be made durable", async () => {
    const { roll, runtime } = await start();
    const camera = await runtime("cam-1");
    const outcome = roll(planOn(["cam-1"], 2), () => Promise.reject(new Error("disk full")));
    await ready(camera, 1);
    expect(await outcome).toEqual({ kind: "aborted", failures: [], reason: "disk full" });
    expect(await camera.frame(2)).toMatchObject({ type: "abort", revision: 2 });
  });

  it("is incomplete when one cannot switch; nothing is retired then", async () => {
    const { roll, runtime } = await start();
    const [camera, server] = [await runtime("cam-1"), await runtime("gpu-1")];
    const outcome = roll(planOn(["cam-1", "gpu-1"], 2));
    await ready(camera, 1);
    await ready(server, 1);
    await active(camera, 2);
    const activate = await server.frame(2);
    server.send({ type: "reject", nonce: activate.nonce, reason: "driver fault" });
    expect(await outcome).toMatchObject({
      kind: "incomplete",
      failures: [{ node: "gpu-1", cause: "rejected", reason: "driver fault" }],
    });
    const back = roll(planOn(["cam-1", "gpu-1"], 3));
    await ready(camera, 3);
    await ready(server, 3);
    await active(camera, 4);
    await active(server, 4);
    expect(await back).toEqual({ kind: "active" });
    expect(await camera.frame(5)).toMatchObject({ type: "retire", revision: 3 });
  });

  it("takes a participant that comes back after the point of no return", async () => {
    const { publisher, roll, runtime } = await start();
    const [camera, server] = [await runtime("cam-1"), await runtime("gpu-1")];
    const outcome = roll(planOn(["cam-1", "gpu-1"], 2));
    await ready(camera, 1);
    await ready(server, 1);
    await server.frame(2);
    server.socket.terminate();
    await until(() => publisher.subscribers() === 1);
    await active(camera, 2);
    const again = await runtime("gpu-1");
    expect(await again.frame(0)).toMatchObject({ revisions: { camera: 2 } });
    expect(await outcome).toEqual({ kind: "active" });
  });

  it("lets the newest runtime of a node speak for it", async () => {
    const { runtime } = await start();
    const first = await runtime("gpu-1");
    await runtime("gpu-1");
    expect(await first.closed()).toBe(4005);
  });

  it("takes reports of a runtime about its own node, at a bounded rate", async () => {
    const reports: unknown[] = [];
    const publisher = await runPublisher(
      { stream: { reportsPerMinuteMax: 2 } },
      { onReport: (node, report) => reports.push([node, report.stages]) },
    );
    running.push(publisher);
    publisher.offer({ epoch, plans: [] });
    const client = await StreamClient.subscribed(publisher.updatesUrl, {
      role: "runtime",
      node: "cam-1",
    });
    const report = (node: string): void => {
      const stages = [{ node, computeMs: 3 }];
      client.send({
        type: "report",
        pipeline: "camera",
        revision: 1,
        stages,
        transfers: [],
        busy: false,
      });
    };
    for (const node of ["cam-1", "gpu-1", "cam-1", "cam-1"]) report(node);
    await until(() => publisher.events.filter(({ kind }) => kind === "report").length === 4);
    const results = publisher.events.flatMap((event) =>
      event.kind === "report" ? event.result : [],
    );
    expect(results).toEqual(["accepted", "foreign", "accepted", "limited"]);
    expect(reports).toEqual(Array(2).fill(["cam-1", [{ node: "cam-1", computeMs: 3 }]]));
  });
});
