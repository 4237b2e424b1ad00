import { createHash } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { connectAsync } from "mqtt";
import { afterEach, describe, expect, it } from "vitest";
import { subscribe } from "../../src/client/index.js";
import type { Daemon } from "../../src/daemon/index.js";
import type { PlanDocument } from "../../src/protocol/index.js";
import { until } from "../support/poll.js";
import {
  awaitTiers,
  type DaemonAtSite,
  lastDecision,
  loadConfig,
  planOf,
  runDaemon,
  startDaemonAtSite,
  tiersOf,
  writeSite,
} from "../support/site.js";

const GOOD = { uplink: 100, direct: 100, backbone: 100 };
const POOR = { uplink: 0.01, direct: 0.01, backbone: 100 };

describe("the daemon", () => {
  const cleanup: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  const start = (overrides: Record<string, unknown> = {}): Promise<DaemonAtSite> =>
    startDaemonAtSite(cleanup, { overrides });

  it("benchmarks, plans, follows the network and the nodes, and tells its subscribers", async () => {
    const { daemon, site } = await start();
    const received: PlanDocument[] = [];
    const stop = new AbortController();
    const following = (async () => {
      const url = `http://127.0.0.1:${daemon.port}`;
      for await (const update of subscribe(url, { signal: stop.signal })) {
        received.splice(0, received.length, ...update.plans.values());
      }
    })();

    site.setLinks(GOOD);
    const first = await awaitTiers(daemon, "cloud");
    expect(first.fallback?.node).toBe("cam-1");

    site.setLinks(POOR);
    const second = await awaitTiers(daemon, "device");
    expect(second.revision).toBeGreaterThan(first.revision);
    expect(second.reason).toMatch(/cam-1 → (edge-1|gpu-1)/);

    site.setLinks(GOOD);
    await awaitTiers(daemon, "cloud");

    await site.cloud?.stop();
    const without = await awaitTiers(daemon, "edge");
    expect(without.reason).toMatch(/gpu-1 is gone/);
    expect(lastDecision(daemon)?.verdict).toBe("published");

    await site.startCloud();
    const last = await awaitTiers(daemon, "cloud");
    await until(() => received[0]?.revision === last.revision);
    stop.abort();
    await following;
  });

  it("counts in its metrics what it writes and what it drops", async () => {
    const { daemon, site } = await start();
    site.setLinks(GOOD);
    await awaitTiers(daemon, "cloud");
    const stranger = await connectAsync(daemon.broker);
    cleanup.push(() => stranger.endAsync());
    await stranger.publishAsync("scission/v1/test-site/links/cam-1/edge-1", "junk");
    const metrics = async (): Promise<string> =>
      (await fetch(`http://127.0.0.1:${daemon.port}/metrics`)).text();
    await until(async () =>
      /_rejected_total\{source="mqtt",cause="[a-z-]+"\} [1-9]/.test(await metrics()),
    );
    expect(await metrics()).toMatch(/_store_write_duration_seconds_count\{result="ok"\} [1-9]/);
  });

  it("does not hand out a model file that has become another one", async () => {
    const files = await writeSite();
    cleanup.push(() => files.remove());
    const daemon = await runDaemon(files.configPath);
    cleanup.push(() => daemon.stop());
    const path = join(files.directory, "chain.onnx");
    const sha256 = createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
    const url = `http://127.0.0.1:${daemon.port}/api/v1/models/${sha256}`;
    const status = async (): Promise<number> => {
      const response = await fetch(url);
      await response.body?.cancel();
      return response.status;
    };
    expect(await status()).toBe(200);
    await writeFile(path, "another");
    expect(await status()).toBe(404);
    expect(daemon.status().problems.join()).toContain("chain.onnx is no longer what it was");
  });

  it("keeps the plan of a model whose file is gone, and says so until it is back", async () => {
    const { daemon, site, configPath } = await start();
    site.setLinks(GOOD);
    const plan = await awaitTiers(daemon, "cloud");
    await daemon.stop();
    const model = join(dirname(configPath), "chain.onnx");
    await rename(model, `${model}.away`);

    const again = await runDaemon(configPath);
    cleanup.push(() => again.stop());
    expect(await servedPlans(again)).toEqual([plan]);
    expect(again.status().problems.join()).toMatch(/model chain: .*chain\.onnx.*reload/);
    await rename(`${model}.away`, model);
    await again.reload(await loadConfig(configPath));
    expect(again.status().problems.join()).not.toMatch(/model chain/);
    expect(await servedPlans(again)).toEqual([plan]);
  });

  it("serves the last plan at once after a restart, before it hears of anybody", async () => {
    const { daemon, site, configPath } = await start();
    site.setLinks(GOOD);
    const before = await awaitTiers(daemon, "cloud");
    await site.stop();
    await until(() => tiersOf(planOf(daemon)) !== "cloud");
    const last = planOf(daemon);
    await daemon.stop();

    const again = await runDaemon(configPath);
    cleanup.push(() => again.stop());
    expect(planOf(again)).toEqual(last);
    expect(await servedPlans(again)).toEqual([last]);
    expect(before.epoch).toBe(last?.epoch);
  });
});

/** What a new subscriber gets first. */
async function servedPlans(daemon: Daemon): Promise<PlanDocument[]> {
  for await (const update of subscribe(`http://127.0.0.1:${daemon.port}`)) {
    return [...update.plans.values()];
  }
  throw new Error("the stream ended");
}
