import { afterEach, describe, expect, it } from "vitest";
import { type Report, subscribe } from "../../src/client/index.js";
import type { Daemon } from "../../src/daemon/index.js";
import { type PlanDocument, statusSchema } from "../../src/protocol/index.js";
import { until } from "../support/poll.js";
import { type DaemonAtSite, planOf, startDaemonAtSite, tiersOf } from "../support/site.js";

const GOOD = { uplink: 100, direct: 100, backbone: 100 };
const REPORT_MS = 150;

describe("what runtimes report", () => {
  const cleanup: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  async function start(): Promise<DaemonAtSite> {
    const started = await startDaemonAtSite(cleanup);
    started.site.setLinks(GOOD);
    return started;
  }

  const awaitTiers = (daemon: Daemon, test: (tiers: string) => boolean): Promise<PlanDocument> =>
    until(
      () => {
        const plan = planOf(daemon);
        return plan !== null && test(tiersOf(plan)) ? plan : null;
      },
      { timeoutMs: 20_000, what: "a plan on other nodes" },
    );

  /** A runtime of one node that tells what `measure` makes of the plan in force, again and again. */
  function runtime(
    daemon: Daemon,
    node: string,
    measure: (plan: PlanDocument) => Pick<Report, "stages" | "transfers">,
  ): void {
    const stop = new AbortController();
    const subscription = subscribe(`http://127.0.0.1:${daemon.port}`, {
      role: "runtime",
      node,
      signal: stop.signal,
    });
    const telling = setInterval(() => {
      const plan = planOf(daemon);
      if (plan === null) return;
      const { pipeline, revision } = plan;
      subscription.report({ pipeline, revision, busy: false, ...measure(plan) });
    }, REPORT_MS);
    const done = (async () => {
      for await (const update of subscription) expect(update.origin).toBe("daemon");
    })();
    cleanup.push(() => {
      clearInterval(telling);
      stop.abort();
      return done;
    });
  }

  it("moves plans off a node that is measured as overloaded", async () => {
    const { daemon } = await start();
    await awaitTiers(daemon, (tiers) => tiers === "cloud");
    runtime(daemon, "gpu-1", (plan) => {
      const own = plan.partitions.filter((partition) => partition.node === "gpu-1");
      return { stages: own.map(() => ({ node: "gpu-1", computeMs: 60_000 })), transfers: [] };
    });
    const { reason } = await awaitTiers(daemon, (tiers) => !tiers.includes("cloud"));
    expect(reason).toContain("load of gpu-1");
    const http = `http://127.0.0.1:${daemon.port}`;
    const told = statusSchema.parse(await (await fetch(`${http}/api/v1/status`)).json());
    const factor = told.nodes.find(({ name }) => name === "gpu-1")?.loadFactor;
    expect(factor).toBeGreaterThan(10);
    const metrics = await (await fetch(`${http}/metrics`)).text();
    const gauge = /^scission_node_load_factor\{node="gpu-1"\} (\S+)$/m.exec(metrics)?.[1];
    expect(Number(gauge)).toBeGreaterThan(10);
  });

  it("takes the rate of a link from real tensors", async () => {
    const { daemon } = await start();
    const plan = await awaitTiers(daemon, (tiers) => tiers === "cloud");
    expect(plan.source).toBe("cam-1");
    // A link that nobody probes any more at this rate.
    const rate = (): number | null =>
      daemon.status().links.find(({ from, to }) => from === "cam-1" && to === "gpu-1")
        ?.bandwidthMbps ?? null;
    await until(() => rate() !== null);
    runtime(daemon, "cam-1", () => ({
      stages: [],
      // 8 Mbps, while probes say 100.
      transfers: [{ from: "cam-1", to: "gpu-1", bytes: 1_000_000, transferMs: 1_001 }],
    }));
    await until(() => (rate() ?? 100) < 20, { what: "a rate that the transfers show" });
  });
});
