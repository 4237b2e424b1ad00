import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { subscribe } from "../../src/client/index.js";
import type { PlanDocument } from "../../src/protocol/index.js";
import { until } from "../support/poll.js";
import {
  awaitTiers,
  CHAIN_WIDTH,
  chainModel,
  loadConfig,
  planOf,
  runDaemon,
  startDaemonAtSite,
  writeSite,
} from "../support/site.js";

const GOOD = { uplink: 100, direct: 100, backbone: 100 };
const WAIT = { timeoutMs: 60_000 };

describe("a model whose file has changed", () => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  it("is benchmarked first and then planned with; its old plan serves until then", async () => {
    const { daemon, site, directory, configPath } = await startDaemonAtSite(cleanup);
    site.setLinks(GOOD);
    const old = await awaitTiers(daemon, "cloud", WAIT.timeoutMs);

    const seen: (PlanDocument | undefined)[] = [];
    const stop = new AbortController();
    const following = (async () => {
      const url = `http://127.0.0.1:${daemon.port}`;
      for await (const update of subscribe(url, { signal: stop.signal })) {
        seen.push([...update.plans.values()][0]);
      }
    })();
    await until(() => seen.length > 0, WAIT);
    const changed = chainModel(1);
    const sha256 = createHash("sha256").update(changed).digest("hex");
    await writeFile(join(directory, "chain.onnx"), changed);
    await daemon.reload(await loadConfig(configPath));
    expect(planOf(daemon)?.model.sha256).toBe(old.model.sha256);
    expect(daemon.status().profiles.map(({ model }) => model.sha256)).not.toContain(sha256);

    await until(() => seen.at(-1)?.model.sha256 === sha256, { ...WAIT, what: "the new plan" });
    const measured = daemon.status().profiles.filter((one) => one.model.sha256 === sha256);
    expect(measured.map(({ node }) => node)).toContain("edge-1");
    stop.abort();
    await following;
    // At no moment was there no plan.
    expect(new Set(seen.map((plan) => plan?.model.sha256))).toEqual(
      new Set([old.model.sha256, sha256]),
    );
  }, 120_000);

  it("may be one beside it: it is benchmarked anew, and its new partitions are rolled out", async () => {
    const pipelines = [{ name: "vision", model: "chain", devices: ["edge-1"] }];
    const files = await writeSite({ pipelines });
    cleanup.push(() => files.remove());
    const { directory, configPath } = files;
    const weights = (seed: number): Float32Array =>
      Float32Array.from({ length: CHAIN_WIDTH ** 2 }, (_, i) => Math.sin(i + seed) / CHAIN_WIDTH);
    await writeFile(join(directory, "last.bin"), weights(0));
    await writeFile(join(directory, "chain.onnx"), chainModel(0, "last.bin"));
    const daemon = await runDaemon(configPath);
    cleanup.push(() => daemon.stop());
    const old = await until(() => planOf(daemon), { ...WAIT, what: "a plan" });
    expect(daemon.status().problems).toEqual([]);

    await writeFile(join(directory, "last.bin"), weights(1));
    expect(daemon.status().problems.join()).toContain("what lies beside");
    expect(planOf(daemon)).toEqual(old);
    await daemon.reload(await loadConfig(configPath));
    const changed = await until(
      () => (planOf(daemon)?.revision === old.revision ? null : planOf(daemon)),
      { ...WAIT, what: "a new plan" },
    );
    expect(changed.model).toEqual(old.model);
    expect(changed.externalSha256).not.toBe(old.externalSha256);
    const artifacts = (plan: PlanDocument) =>
      plan.partitions.map(({ artifact }) => artifact.sha256);
    expect(artifacts(changed)).not.toEqual(artifacts(old));
    expect(daemon.status().problems).toEqual([]);
  }, 120_000);
});
