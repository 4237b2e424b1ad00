import { once } from "node:events";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { type ConnectionState, subscribe, type Update } from "../../src/client/index.js";
import { UPDATES_SUBPROTOCOL } from "../../src/protocol/index.js";
import { aPlan } from "../support/plans.js";
import { until } from "../support/poll.js";
import { type RunningPublisher, runPublisher } from "../support/publisher.js";

const epoch = "epoch-1";
const quick = { reconnectMinSeconds: 0.01, reconnectMaxSeconds: 0.05 };

let teardown: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(teardown.map((step) => step()));
  teardown = [];
});

async function start(...parameters: Parameters<typeof runPublisher>): Promise<RunningPublisher> {
  const publisher = await runPublisher(...parameters);
  teardown.push(() => publisher.stop());
  return publisher;
}

type Options = Parameters<typeof subscribe>[1];

/** Follows in the background and records; ended after the test. */
function follow(
  url: string,
  options: Options = {},
): { updates: Update[]; states: ConnectionState[] } {
  const stop = new AbortController();
  const updates: Update[] = [];
  const states: ConnectionState[] = [];
  const done = (async () => {
    const stream = subscribe(url, {
      connection: quick,
      onConnection: (state) => states.push(state),
      signal: stop.signal,
      ...options,
    });
    for await (const update of stream) updates.push(update);
  })();
  teardown.push(async () => {
    stop.abort();
    await done;
  });
  return { updates, states };
}

function revisions(update: Update | undefined): Record<string, number> {
  return Object.fromEntries(
    [...(update?.plans ?? [])].map(([name, plan]) => [name, plan.revision]),
  );
}

describe("subscribe", () => {
  it("yields a snapshot and then each change, with the plans as they stand", async () => {
    const publisher = await start();
    publisher.offer({ epoch, plans: [aPlan()] });
    const { updates } = follow(publisher.httpUrl);
    await until(() => updates.length === 1);
    publisher.offer({ epoch, plans: [aPlan({ revision: 2 }), aPlan({ pipeline: "door" })] });
    await until(() => updates.length === 3);
    publisher.offer({ epoch, plans: [aPlan({ revision: 2 })] });
    await until(() => updates.length === 4);
    expect(updates.map((update) => update.kind)).toEqual([
      "snapshot",
      "update",
      "update",
      "removed",
    ]);
    expect(updates.map(revisions)).toEqual([
      { camera: 1 },
      expect.anything(),
      { camera: 2, door: 1 },
      { camera: 2 },
    ]);
  });

  it("acknowledges for a runtime when the consumer asks for the next update", async () => {
    const publisher = await start();
    publisher.offer({ epoch, plans: [aPlan()] });
    const iterator = subscribe(publisher.httpUrl, { role: "runtime", node: "cam-1" })[
      Symbol.asyncIterator
    ]();
    expect(revisions((await iterator.next()).value as Update)).toEqual({ camera: 1 });
    expect(publisher.subscriberList()[0]?.revisions.size).toBe(0);
    const second = iterator.next();
    await until(() => publisher.subscriberList()[0]?.revisions.get("camera") === 1);
    publisher.offer({ epoch, plans: [aPlan({ revision: 2 })] });
    expect(revisions((await second).value as Update)).toEqual({ camera: 2 });
    await iterator.return?.();
    await until(() => publisher.subscribers() === 0);
  });

  it("rejects for a runtime, and keeps the last good plans", async () => {
    const reasons: string[] = [];
    const publisher = await start({}, { onReject: ({ reason }) => reasons.push(reason) });
    publisher.offer({ epoch, plans: [aPlan()] });
    const seen: Record<string, number>[] = [];
    for await (const update of subscribe(publisher.httpUrl, { role: "runtime" })) {
      seen.push(revisions(update));
      if (update.kind === "snapshot") {
        publisher.offer({ epoch, plans: [aPlan({ revision: 2 })] });
      } else if (update.kind === "update" && update.plan.revision === 2) {
        update.reject("no memory");
        publisher.offer({ epoch, plans: [aPlan({ revision: 2 }), aPlan({ pipeline: "door" })] });
      } else break;
    }
    expect(reasons).toEqual(["no memory"]);
    expect(seen).toEqual([{ camera: 1 }, { camera: 2 }, { camera: 1, door: 1 }]);
  });

  it("takes up where it was after a restart of the daemon, and yields nothing twice", async () => {
    const first = await start();
    first.offer({ epoch, plans: [aPlan()] });
    const { updates, states } = follow(first.httpUrl);
    await until(() => updates.length === 1);
    await first.stop();
    await until(() => states.some((state) => state.kind === "disconnected"));
    const second = await start({ port: first.port });
    second.offer({ epoch, plans: [aPlan()] });
    await until(() => states.at(-1)?.kind === "connected");
    second.offer({ epoch, plans: [aPlan({ revision: 2 })] });
    await until(() => updates.length === 2);
    expect(updates[1]).toMatchObject({ kind: "update", plan: { revision: 2 } });
  });

  it("takes lower revisions of a daemon that lost its store and has a new epoch", async () => {
    const first = await start();
    first.offer({ epoch, plans: [aPlan({ revision: 9 }), aPlan({ pipeline: "door" })] });
    const { updates } = follow(first.httpUrl);
    await until(() => updates.length === 1);
    await first.stop();
    const second = await start({ port: first.port });
    second.offer({ epoch: "epoch-2", plans: [aPlan({ epoch: "epoch-2" })] });
    await until(() => updates.length === 2);
    expect(updates[1]).toMatchObject({ kind: "snapshot", epoch: "epoch-2", removed: ["door"] });
    expect(revisions(updates[1])).toEqual({ camera: 1 });
  });

  it("starts from plans of an earlier run without having them sent again", async () => {
    const publisher = await start();
    publisher.offer({ epoch, plans: [aPlan(), aPlan({ pipeline: "door", revision: 4 })] });
    const have = [aPlan(), aPlan({ pipeline: "gate" })];
    const { updates } = follow(publisher.httpUrl, { have });
    await until(() => updates.length === 1);
    expect(updates[0]).toMatchObject({ changed: [{ pipeline: "door" }], removed: ["gate"] });
    expect(revisions(updates[0])).toEqual({ camera: 1, door: 4 });
  });

  it("gives a slow observer the newest of each pipeline, not every revision", async () => {
    const publisher = await start();
    publisher.offer({ epoch, plans: [aPlan()] });
    const iterator = subscribe(publisher.httpUrl)[Symbol.asyncIterator]();
    await iterator.next();
    for (let revision = 2; revision <= 50; revision += 1) {
      publisher.offer({ epoch, plans: [aPlan({ revision })] });
      await until(() => publisher.subscriberList()[0]?.revisions.get("camera") === revision);
    }
    const got: number[] = [];
    while (got.at(-1) !== 50) {
      const result = await iterator.next();
      got.push(revisions(result.value as Update)["camera"]!);
    }
    expect(got.length).toBeLessThan(5);
    await iterator.return?.();
  });

  it("ends with exactly the current plans after random changes and drops", async () => {
    const publisher = await start();
    const random = fc.sample(fc.integer({ min: 0, max: 99 }), { numRuns: 400, seed: 11 });
    const plans = new Map([["camera", aPlan()]]);
    const highest = new Map([["camera", 1]]);
    publisher.offer({ epoch, plans: [...plans.values()] });
    const sockets = new Set<{ terminate?(): void }>();
    const { openSocket } = await import("../../src/client/socket.js");
    const followers = (["observer", "runtime"] as const).map((role) =>
      follow(publisher.httpUrl, {
        role,
        openSocket: async (...parameters) => {
          const socket = await openSocket(...parameters);
          sockets.add(socket);
          return socket;
        },
      }),
    );
    for (const draw of random) {
      const pipeline = `p-${draw % 5}`;
      if (draw < 10) for (const socket of sockets) socket.terminate?.();
      else if (draw < 30) plans.delete(pipeline);
      else {
        const revision = (highest.get(pipeline) ?? 0) + 1;
        highest.set(pipeline, revision);
        plans.set(pipeline, aPlan({ pipeline, revision }));
      }
      publisher.offer({ epoch, plans: [...plans.values()] });
      if (draw % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const wanted = Object.fromEntries([...plans].map(([name, plan]) => [name, plan.revision]));
    for (const { updates } of followers) {
      await until(
        () => JSON.stringify(sorted(revisions(updates.at(-1)))) === JSON.stringify(sorted(wanted)),
      );
      for (const pipeline of highest.keys()) expect(goesBack(updates, pipeline)).toBe(false);
    }
    expect(sockets.size).toBeGreaterThan(4);
  });

  it("survives a server that sends garbage, and reconnects", async () => {
    const garbage = [
      "",
      "{",
      "[]",
      '{"type":"update"}',
      Buffer.from([0, 1, 2]),
      '{"type":"nonsense"}',
    ];
    const server = new WebSocketServer({
      port: 0,
      host: "127.0.0.1",
      handleProtocols: () => UPDATES_SUBPROTOCOL,
    });
    let connections = 0;
    server.on("connection", (socket) => {
      socket.send(garbage[connections % garbage.length]!);
      connections += 1;
    });
    teardown.push(() => new Promise((resolve) => server.close(resolve)));
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const { updates, states } = follow(`http://127.0.0.1:${port}`);
    await until(() => connections > garbage.length);
    expect(updates).toEqual([]);
    expect(states.every((state) => state.kind === "disconnected")).toBe(true);
  });

  it("leaves a daemon that falls silent", async () => {
    const publisher = await start({ stream: { heartbeatSeconds: 3_600 } });
    publisher.offer({ epoch, plans: [] });
    const { states } = follow(publisher.httpUrl, {
      connection: { ...quick, silenceTimeoutSeconds: 0.05 },
    });
    const lost = await until(() => states.find((state) => state.kind === "disconnected"));
    expect(lost).toMatchObject({ reason: "the daemon fell silent" });
    await until(() => states.filter((state) => state.kind === "connected").length > 1);
  });

  it("stops by signal while it waits, before it starts, and by break", async () => {
    const stop = new AbortController();
    // Nothing listens on port 1.
    const nowhere = subscribe("http://127.0.0.1:1", { signal: stop.signal });
    const waiting = nowhere[Symbol.asyncIterator]().next();
    stop.abort();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await nowhere[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
    const publisher = await start();
    publisher.offer({ epoch, plans: [] });
    for await (const update of subscribe(publisher.httpUrl)) {
      expect(update.kind).toBe("snapshot");
      break;
    }
    await until(() => publisher.subscribers() === 0);
  });

  it.each(["nonsense", "ftp://host"])("refuses the URL %s at once", (url) => {
    expect(() => subscribe(url)).toThrow(expect.objectContaining({ code: "USAGE" }));
  });

  it("refuses names that no daemon would accept", () => {
    expect(() => subscribe("http://h", { node: "Not A Name" })).toThrow(
      expect.objectContaining({ code: "USAGE" }),
    );
  });
});

function sorted(record: Record<string, number>): [string, number][] {
  return Object.entries(record).sort(([a], [b]) => a.localeCompare(b));
}

function goesBack(updates: readonly Update[], pipeline: string): boolean {
  let highest = 0;
  for (const update of updates) {
    const revision = update.plans.get(pipeline)?.revision;
    if (revision === undefined) continue;
    if (revision < highest) return true;
    highest = revision;
  }
  return false;
}
