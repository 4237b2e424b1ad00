import { afterEach, describe, expect, it } from "vitest";
import { subscribe } from "../../src/client/index.js";
import type { PlanDocument } from "../../src/protocol/index.js";
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

type Options = NonNullable<Parameters<typeof subscribe>[1]>;

/** A runtime of cam-1 that writes down what it is told. */
function runtime(url: string, hooks: Options = {}): { told: string[] } {
  const told: string[] = [];
  const tell = (word: string, plan: PlanDocument): void =>
    void told.push(`${word} ${plan.revision}`);
  const stop = new AbortController();
  const done = (async () => {
    const stream = subscribe(url, {
      role: "runtime",
      node: "cam-1",
      connection: quick,
      signal: stop.signal,
      prepare: (plan) => tell("prepare", plan),
      abort: (plan) => tell("abort", plan),
      retire: (plan) => tell("retire", plan),
      ...hooks,
    });
    for await (const update of stream) {
      for (const plan of update.plans.values()) tell(update.kind, plan);
    }
  })();
  teardown.push(async () => {
    stop.abort();
    await done;
  });
  return { told };
}

async function start(): Promise<{
  publisher: RunningPublisher;
  roll: (revision: number) => ReturnType<RunningPublisher["rollOut"]>;
}> {
  const publisher = await runPublisher();
  teardown.push(() => publisher.stop());
  publisher.offer({ epoch, plans: [aPlan()] });
  const roll = (revision: number): ReturnType<RunningPublisher["rollOut"]> => {
    const plan = aPlan({ revision });
    return publisher.rollOut(plan, () => {
      publisher.offer({ epoch, plans: [plan] });
      return Promise.resolve();
    });
  };
  return { publisher, roll };
}

describe("subscribe as a runtime", () => {
  it("prepares, switches when asked for the next update, and retires", async () => {
    const { roll, publisher } = await start();
    const { told } = runtime(publisher.httpUrl);
    await until(() => told.length === 1);
    expect(await roll(2)).toEqual({ kind: "active" });
    await until(() => told.at(-1) === "retire 2");
    expect(told).toEqual(["snapshot 1", "prepare 2", "update 2", "retire 2"]);
  });

  it("refuses a plan that cannot be prepared, with the reason", async () => {
    const { roll, publisher } = await start();
    const { told } = runtime(publisher.httpUrl, {
      prepare: () => Promise.reject(new Error("no memory")),
    });
    await until(() => told.length === 1);
    expect(await roll(2)).toMatchObject({
      kind: "aborted",
      failures: [{ node: "cam-1", cause: "rejected", reason: "no memory" }],
    });
    expect(told).toEqual(["snapshot 1"]);
  });

  it("tells the daemon when switching fails, and shows no such update", async () => {
    const { roll, publisher } = await start();
    const { told } = runtime(publisher.httpUrl, {
      activate: (plan) =>
        plan.revision === 2 ? Promise.reject(new Error("driver fault")) : undefined,
    });
    await until(() => told.length === 1);
    expect(await roll(2)).toMatchObject({
      kind: "incomplete",
      failures: [{ node: "cam-1", cause: "rejected", reason: "driver fault" }],
    });
    expect(await roll(3)).toEqual({ kind: "active" });
    expect(told.slice(0, 4)).toEqual(["snapshot 1", "prepare 2", "prepare 3", "update 3"]);
  });

  it("ends a preparation that nobody waits for any more", async () => {
    const { roll, publisher } = await start();
    const { told } = runtime(publisher.httpUrl, {
      prepare: (plan, signal) =>
        new Promise((resolve) => {
          told.push(`prepare ${plan.revision}`);
          signal.addEventListener("abort", () => {
            told.push("ended");
            resolve();
          });
        }),
    });
    await until(() => told.length === 1);
    const outcome = roll(2);
    await until(() => told.at(-1) === "prepare 2");
    publisher.cancelRollout("camera", "the pipeline is gone");
    expect(await outcome).toMatchObject({ kind: "aborted", reason: "the pipeline is gone" });
    await until(() => told.at(-1) === "abort 2");
    expect(told).toEqual(["snapshot 1", "prepare 2", "ended", "abort 2"]);
  });

  it("sends reports while it is connected", async () => {
    const nodes: string[] = [];
    const publisher = await runPublisher({}, { onReport: (node) => nodes.push(node) });
    teardown.push(() => publisher.stop());
    publisher.offer({ epoch, plans: [aPlan()] });
    const stop = new AbortController();
    const stream = subscribe(publisher.httpUrl, {
      role: "runtime",
      node: "cam-1",
      signal: stop.signal,
    });
    const report = { pipeline: "camera", revision: 1, stages: [], transfers: [], busy: false };
    expect(stream.report(report)).toBe(false);
    const updates = stream[Symbol.asyncIterator]();
    await updates.next();
    expect(stream.report(report)).toBe(true);
    await until(() => nodes.length === 1);
    stop.abort();
    await updates.next();
    expect(stream.report(report)).toBe(false);
  });
});
