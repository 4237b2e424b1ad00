import { connectAsync } from "mqtt";
import { afterEach, describe, expect, it } from "vitest";
import { subscribe } from "../../src/client/index.js";
import type { Daemon } from "../../src/daemon/index.js";
import type { PlanDocument } from "../../src/protocol/index.js";
import { until } from "../support/poll.js";
import {
  awaitTiers,
  type DaemonAtSite,
  planOf,
  runDaemon,
  SITE,
  startDaemonAtSite,
  startSite,
  writeSite,
} from "../support/site.js";

const GOOD = { uplink: 100, direct: 100, backbone: 100 };
const POOR = { uplink: 0.01, direct: 0.01, backbone: 100 };

describe("the daemon with runtimes", () => {
  const cleanup: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  const start = (): Promise<DaemonAtSite> => startDaemonAtSite(cleanup);

  /** A runtime that records the revisions it prepared and put in force. */
  function runtime(
    daemon: Daemon,
    node: string,
    prepare: (plan: PlanDocument) => void = () => undefined,
  ): { prepared: number[]; inForce: number[]; stop: () => Promise<void> } {
    const seen = { prepared: [] as number[], inForce: [] as number[] };
    const stop = new AbortController();
    const done = (async () => {
      const updates = subscribe(`http://127.0.0.1:${daemon.port}`, {
        role: "runtime",
        node,
        signal: stop.signal,
        prepare(plan) {
          prepare(plan);
          seen.prepared.push(plan.revision);
        },
      });
      for await (const update of updates) {
        for (const plan of update.plans.values()) seen.inForce.push(plan.revision);
      }
    })();
    const end = async (): Promise<void> => {
      stop.abort();
      await done;
    };
    cleanup.push(end);
    return { ...seen, stop: end };
  }

  const awaitDecision = (daemon: Daemon, verdict: string, about: string): Promise<string> =>
    until(
      async () => {
        const answer = await fetch(`http://127.0.0.1:${daemon.port}/api/v1/decisions`);
        const { decisions } = (await answer.json()) as {
          decisions: { verdict: string; summary: string }[];
        };
        const summaries = decisions.filter((decision) => decision.verdict === verdict);
        return summaries.find(({ summary }) => summary.includes(about))?.summary;
      },
      { what: `a decision that is ${verdict} and about ${about}` },
    );

  it("switches all runtimes of a plan together", async () => {
    const { daemon, site } = await start();
    site.setLinks(GOOD);
    const first = await awaitTiers(daemon, "cloud");
    const [camera, server] = [runtime(daemon, "cam-1"), runtime(daemon, "gpu-1")];
    await until(() => camera.inForce.length === 1 && server.inForce.length === 1);
    site.setLinks(POOR);
    const second = await awaitTiers(daemon, "device");
    await until(() => camera.inForce.at(-1) === second.revision);
    expect(camera.prepared).toContain(second.revision);
    // The cloud runs nothing of it: it is told, and was not asked.
    await until(() => server.inForce.at(-1) === second.revision);
    expect(server.prepared).not.toContain(second.revision);
    expect(camera.inForce[0]).toBe(first.revision);
  });

  it("serves one document by stream, HTTP, events and MQTT", async () => {
    const { daemon, site } = await start();
    const url = `http://127.0.0.1:${daemon.port}`;
    site.setLinks(GOOD);
    const { pipeline, revision } = await awaitTiers(daemon, "cloud");
    const served = await fetch(`${url}/api/v1/pipelines/${pipeline}/plan`);
    expect(served.headers.get("etag")).toBe(`"${planOf(daemon)!.epoch}.${revision}"`);
    const text = await served.text();

    const client = await connectAsync(daemon.broker);
    cleanup.push(() => client.endAsync());
    const mirrored = new Promise<string>((resolve) => {
      client.on("message", (_, payload) => resolve(payload.toString("utf8")));
    });
    await client.subscribeAsync(`scission/v1/${SITE}/partitions/${pipeline}`);
    expect(await mirrored).toBe(text);

    const events = await fetch(`${url}/api/v1/events?pipeline=${pipeline}`);
    const chunks = events.body!.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await chunks.read();
    expect(value).toContain(text);
    await chunks.cancel();

    for await (const update of subscribe(url)) {
      expect(JSON.stringify(update.plans.get(pipeline))).toBe(text);
      break;
    }
  });

  it("does what an operator asks for, also after a restart", async () => {
    const files = await writeSite();
    cleanup.push(() => files.remove());
    const daemon = await runDaemon(files.configPath);
    cleanup.push(() => daemon.stop());
    const site = await startSite(daemon.broker);
    cleanup.push(() => site.stop());
    const order = async (of: Daemon, command: object): Promise<number> => {
      const url = `http://127.0.0.1:${of.port}/api/v1/pipelines/${planOf(daemon)!.pipeline}/control`;
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify(command);
      return (await fetch(url, { method: "POST", headers, body })).status;
    };
    site.setLinks(GOOD);
    const first = await awaitTiers(daemon, "cloud");
    const { firstLayer, lastLayer } = first.partitions[0]!;
    const partitions = [{ node: "edge-1", firstLayer, lastLayer }];
    expect(await order(daemon, { action: "pin", partitions })).toBe(202);
    await awaitTiers(daemon, "edge");
    expect(await order(daemon, { action: "rollback" })).toBe(202);
    const back = await awaitTiers(daemon, "cloud");
    expect(await order(daemon, { action: "pause" })).toBe(202);
    await site.cloud?.stop();
    await awaitDecision(daemon, "kept", "anybody asked for pause");
    await site.stop();
    await daemon.stop();

    const again = await runDaemon(files.configPath);
    cleanup.push(() => again.stop());
    expect(planOf(again)?.revision).toBe(back.revision);
    const other = await startSite(again.broker);
    cleanup.push(() => other.stop());
    other.setLinks(POOR);
    await until(() => again.status().nodes.filter(({ online }) => online).length === 3);
    expect(planOf(again)?.revision).toBe(back.revision);
    expect(await order(again, { action: "resume" })).toBe(202);
    await awaitTiers(again, "device");
  });

  it("plans around a partition that a runtime rejects, until it subscribes anew", async () => {
    const { daemon, site } = await start();
    const server = runtime(daemon, "gpu-1", () => {
      throw new Error("no such accelerator");
    });
    site.setLinks(GOOD);
    await awaitTiers(daemon, "edge");
    await awaitDecision(daemon, "aborted", "gpu-1 rejected it: no such accelerator");

    await server.stop();
    const willing = runtime(daemon, "gpu-1");
    const plan = await awaitTiers(daemon, "cloud");
    await until(() => willing.inForce.at(-1) === plan.revision);
    expect(plan.reason).toMatch(/gpu-1 may run layers/);
    expect(plan.revision).toBeGreaterThan(2);
  });

  it("goes back to the configuration before when a runtime cannot switch", async () => {
    const { daemon, site } = await start();
    site.setLinks(GOOD);
    const first = await awaitTiers(daemon, "cloud");
    let isBroken = true;
    const stop = new AbortController();
    const done = (async () => {
      const updates = subscribe(`http://127.0.0.1:${daemon.port}`, {
        role: "runtime",
        node: "cam-1",
        signal: stop.signal,
        activate(plan) {
          if (isBroken && plan.revision > first.revision) {
            isBroken = false;
            throw new Error("driver fault");
          }
        },
      });
      for await (const update of updates) expect(update.plans.size).toBe(1);
    })();
    cleanup.push(async () => {
      stop.abort();
      await done;
    });
    await until(() => daemon.status().subscribers === 1);
    site.setLinks(POOR);
    await awaitDecision(daemon, "incomplete", "cam-1 rejected it: driver fault");
    await awaitDecision(daemon, "published", `back to the configuration of revision`);
  });
});
