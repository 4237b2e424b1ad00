import { afterEach, describe, expect, it } from "vitest";
import { seededRandom } from "../../src/core/index.js";
import type { PlanDocument } from "../../src/protocol/index.js";
import { complaintsOf, type Held, heldAfter, type Step } from "../support/history.js";
import { aPlan } from "../support/plans.js";
import { until } from "../support/poll.js";
import { type Recording, RecordingClient, RecordingReader } from "../support/recording-clients.js";
import { runPublisher } from "../support/publisher.js";

const plan = (revision: number, epoch = "one", reason = "") => aPlan({ epoch, revision, reason });
const snapshot = (revision: number, have?: number, epoch = "one"): Step => ({
  type: "snapshot",
  epoch,
  nonce: "n",
  revisions: { camera: revision },
  plans: have === revision ? [] : [plan(revision, epoch)],
});
const update = (revision: number, epoch = "one", reason = ""): Step => ({
  type: "update",
  epoch,
  nonce: "n",
  plan: plan(revision, epoch, reason),
});
const heartbeat = (revision: number): Step => ({
  type: "heartbeat",
  epoch: "one",
  revisions: { camera: revision },
});
const connect = (revision?: number): Step => ({
  type: "connect",
  have: revision === undefined ? undefined : { epoch: "one", revisions: { camera: revision } },
});

const RIGHT: readonly Step[] = [
  connect(),
  snapshot(1),
  update(2),
  heartbeat(2),
  update(4),
  connect(4),
  snapshot(4, 4),
  update(5),
];
const prepare = (revision: number): Step => ({ ...update(revision), type: "prepare" }) as Step;
const told = (type: "activate" | "abort" | "retire", revision: number): Step => ({
  type,
  epoch: "one",
  nonce: "n",
  pipeline: "camera",
  revision,
});
/** Of a participant: one revision that was aborted, one that came into force. */
const SWITCHED: readonly Step[] = [
  connect(),
  snapshot(1),
  prepare(2),
  told("abort", 2),
  prepare(5),
  heartbeat(1),
  told("activate", 5),
  told("retire", 5),
];
const FINAL: Held = { epoch: "one", revisions: new Map([["camera", 5]]) };

describe("the validators of histories", () => {
  it("have nothing against a right one", () => {
    expect(complaintsOf([RIGHT, RIGHT, SWITCHED], FINAL)).toEqual({});
  });

  it.each<[string, readonly Step[]]>([
    ["ordered", RIGHT.with(2, update(4)).with(4, update(3))],
    ["unique", [...RIGHT, update(5)]],
    ["unique", RIGHT.with(2, update(2, "one", "another content"))],
    ["atomic", RIGHT.with(1, { ...snapshot(1), plans: [] } as Step)],
    ["atomic", RIGHT.with(2, { ...update(2, "two"), epoch: "one" } as Step)],
    ["reliable", RIGHT.slice(0, -1)],
    ["resumable", RIGHT.with(6, snapshot(4))],
    ["resumable", RIGHT.toSpliced(6, 1)],
    ["bookmarkable", RIGHT.with(3, heartbeat(5))],
    ["ordered", [...SWITCHED, prepare(4), told("activate", 4), prepare(5), told("activate", 5)]],
    ["unique", [...SWITCHED, prepare(5)]],
    ["unique", SWITCHED.with(4, { ...update(5, "one", "another"), type: "prepare" } as Step)],
    ["atomic", SWITCHED.toSpliced(4, 1)],
    ["atomic", SWITCHED.with(4, prepare(2)).with(6, told("activate", 2))],
    ["atomic", SWITCHED.with(4, told("abort", 5))],
    ["atomic", SWITCHED.with(7, told("retire", 4))],
    ["reliable", SWITCHED.toSpliced(6, 2)],
    ["resumable", [...SWITCHED, connect(5), prepare(6)]],
    ["bookmarkable", SWITCHED.toSpliced(2, 0, heartbeat(3))],
  ])("find what is not %s", (word, wrong) => {
    expect(Object.keys(complaintsOf([RIGHT, wrong], FINAL))).toContain(word);
  });
});

const SEED = 60_601;

describe("histories of real clients", () => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  function record(url: string, count: number): RecordingClient[] {
    return Array.from({ length: count }, () => {
      const client = new RecordingClient(url);
      cleanup.push(() => client.stop());
      return client;
    });
  }

  /** Every client has taken what is in force; a slow one reads on. */
  async function quiet(clients: readonly Recording[], final: Held): Promise<void> {
    for (const client of clients) if (client instanceof RecordingClient) client.resume();
    const key = (held: Held): string => JSON.stringify([held.epoch, [...held.revisions].sort()]);
    const isQuiet = (): boolean =>
      clients.every(({ history }) => key(heldAfter(history)) === key(final));
    await until(isQuiet, { timeoutMs: 20_000, what: "quiet" }).catch(() => undefined);
  }

  it("keep the six words over hundreds of revisions, cuts, slow readers and a new epoch", async () => {
    const publisher = await runPublisher({ stream: { heartbeatSeconds: 0.05 } });
    cleanup.push(() => publisher.stop());
    const random = seededRandom(SEED);
    const clients = record(publisher.updatesUrl, 12);
    const revisions = new Map<string, number>();
    let epoch = "first";
    for (let round = 1; round <= 600; round += 1) {
      if (round === 400) {
        epoch = "second";
        revisions.clear();
      }
      const pipeline = `pipeline-${Math.floor(random() * 4)}`;
      if (random() < 0.03) revisions.delete(pipeline);
      // Revisions are used up for ever, also those of pipelines that were gone for a while.
      else revisions.set(pipeline, round);
      const plans = [...revisions].map(([name, revision]) =>
        aPlan({ pipeline: name, revision, epoch, reason: "x".repeat(10_000) }),
      );
      publisher.offer({ epoch, plans });
      const client = clients[Math.floor(random() * clients.length)]!;
      const dice = random();
      if (dice < 0.1) client.cut();
      else if (dice < 0.3) client.pause();
      else if (dice < 0.6) client.resume();
      // Now and then the event loop runs, so that frames of some revisions are under way.
      if (random() < 0.5) await new Promise((resolve) => setImmediate(resolve));
    }
    const final: Held = { epoch, revisions };
    await quiet(clients, final);
    const histories = clients.map(({ history }) => history);
    expect(complaintsOf(histories, final)).toEqual({});
    const count = (type: Step["type"]): number =>
      histories.flat().filter((step) => step.type === type).length;
    // The run was what its name says.
    expect(count("connect")).toBeGreaterThan(20);
    expect(count("update")).toBeGreaterThan(300);
    expect(count("heartbeat")).toBeGreaterThan(0);
  }, 60_000);

  it("keep the six words at participants of switches, observers and readers of events", async () => {
    const publisher = await runPublisher({ stream: { heartbeatSeconds: 0.05 } });
    cleanup.push(() => publisher.stop());
    const random = seededRandom(SEED);
    const epoch = "first";
    const nodes = ["cam-1", "edge-1", "gpu-1"];
    const planOf = (revision: number): PlanDocument => {
      const [partition] = aPlan().partitions;
      // The odd ones do without the last node, which is then told, and not waited for.
      const used = nodes.slice(0, 2 + (revision % 2));
      const partitions = used.map((node) => ({ ...partition!, node }));
      return aPlan({ epoch, revision, partitions });
    };
    publisher.offer({ epoch, plans: [planOf(1)] });
    const canLoad = (): boolean => random() > 0.1;
    const clients: Recording[] = [
      ...nodes.map((node) => new RecordingClient(publisher.updatesUrl, { node, canLoad })),
      ...record(publisher.updatesUrl, 2),
      ...[1, 2].map(() => new RecordingReader(publisher.httpUrl)),
    ];
    for (const client of clients) cleanup.push(() => client.stop());
    await quiet(clients, { epoch, revisions: new Map([["camera", 1]]) });
    const outcomes: string[] = [];
    let inForce = 1;
    for (let revision = 2; revision <= 150; revision += 1) {
      const outcome = publisher.rollOut(planOf(revision), async () => {
        if (random() < 0.2) clients[Math.floor(random() * 3)]!.cut();
        await new Promise((resolve) => setImmediate(resolve));
        inForce = revision;
        publisher.offer({ epoch, plans: [planOf(revision)] });
      });
      if (random() < 0.3) clients[Math.floor(random() * clients.length)]!.cut();
      outcomes.push((await outcome).kind);
    }
    const final: Held = { epoch, revisions: new Map([["camera", inForce]]) };
    await quiet(clients, final);
    const histories = clients.map(({ history }) => history);
    expect(complaintsOf(histories, final)).toEqual({});
    // The run was what its name says.
    const types = new Set(histories.flat().map(({ type }) => type));
    for (const type of ["prepare", "activate", "abort", "retire", "update", "heartbeat"] as const) {
      expect(types).toContain(type);
    }
    expect(new Set(outcomes)).toContain("active");
    expect(new Set(outcomes)).toContain("aborted");
    const connects = histories.map((history) => history.filter(({ type }) => type === "connect"));
    expect(Math.min(...connects.map(({ length }) => length))).toBeGreaterThan(1);
  }, 120_000);
});
