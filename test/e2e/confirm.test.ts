import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { subscribe } from "../../src/client/index.js";
import type { MeasureCommand, PlanDocument, Profile } from "../../src/protocol/index.js";
import {
  awaitLayers,
  decisionsOf,
  POOR_MBPS,
  SPLIT,
  startConfirmingSite,
  TIMEOUT_MS,
} from "../support/confirming-site.js";
import { freePort } from "../support/daemon-process.js";
import { honest, type Measure, silent } from "../support/measures.js";
import { mosquittoPath, startMosquitto } from "../support/mosquitto.js";
import { until } from "../support/poll.js";
import { CHAIN_WIDTH, chainModel, planOf, runDaemon } from "../support/site.js";

const mosquitto = mosquittoPath();

describe("confirming a plan before it is published", () => {
  const cleanup: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  it("measures the partitions where they would run, and publishes what was measured", async () => {
    const { daemon, asked, improve, native } = await startConfirmingSite(cleanup, {
      cloud: honest(3),
    });
    // The whole model on one node was measured by its benchmark.
    expect(native.partitions[0]).toMatchObject({ confirmed: true });
    improve();
    const plan = await awaitLayers(daemon, SPLIT);
    expect(asked).toContainEqual({ node: "cam-1", layers: "0–0" });
    expect(asked).toContainEqual({ node: "gpu-1", layers: "1–5" });
    const [, onCloud] = plan.partitions;
    expect(onCloud?.confirmed).toBe(true);
    expect(onCloud!.computeMs / onCloud!.estimateMs!).toBeCloseTo(3, 6);
    expect(plan.reason).toMatch(/confirmed/);
    const decisions = await decisionsOf(daemon);
    const published = decisions.find(({ revision }) => revision === plan.revision);
    expect(published?.confirmation).toMatchObject({ confirmed: true });
    // The first layer is measured on cam-1 as well.
    expect(plan.partitions[0]?.confirmed).toBe(true);
    const waiting = decisions.filter(({ verdict }) => verdict === "confirming");
    expect(waiting.at(-1)?.summary).toMatch(/confirming layers .* revision \d+ stays/);
  });

  it("tells agents of the files beside the model, as a benchmark does", async () => {
    const weights = Buffer.alloc(CHAIN_WIDTH * CHAIN_WIDTH * 4);
    const told: MeasureCommand["sidecars"][] = [];
    const cloud: Measure = (command, profile) => {
      told.push(command.sidecars);
      return honest()(command, profile);
    };
    const { improve } = await startConfirmingSite(cleanup, {
      cloud,
      prepare: async (directory) => {
        await writeFile(join(directory, "weights.bin"), weights);
        await writeFile(join(directory, "chain.onnx"), chainModel(0, "weights.bin"));
      },
    });
    improve();
    const sidecars = await until(() => told[0], { timeoutMs: TIMEOUT_MS, what: "a measurement" });
    const sha256 = createHash("sha256").update(weights).digest("hex");
    expect(sidecars).toEqual([{ location: "weights.bin", bytes: weights.byteLength, sha256 }]);
  });

  it("takes nothing that was measured for a profile which was renewed meanwhile", async () => {
    let renew: (profile: Profile) => Promise<unknown> = () => Promise.resolve();
    let calls = 0;
    const cloud: Measure = async (command, profile) => {
      calls += 1;
      if (calls === 1) await renew(profile);
      return honest()(command, profile);
    };
    const { daemon, cloud: agent, improve, asked } = await startConfirmingSite(cleanup, { cloud });
    renew = (profile) => {
      const blocks = profile.blocks.map((block) => ({ ...block, medianMs: block.medianMs * 3 }));
      const measuredAt = Date.now();
      const renewed = { ...profile, measuredAt, wholeMs: profile.wholeMs * 3, blocks };
      agent.telemetry.publishProfile(renewed);
      const isTaken = (): boolean =>
        daemon.status().profiles.some((one) => one.measuredAt === measuredAt);
      return until(isTaken, { timeoutMs: TIMEOUT_MS, what: "the renewed profile" });
    };
    improve();
    const plan = await awaitLayers(daemon, SPLIT);
    expect(asked.filter(({ layers }) => layers === "1–5").length).toBeGreaterThan(1);
    const [, onCloud] = plan.partitions;
    expect(onCloud).toMatchObject({ confirmed: true });
    expect(onCloud!.computeMs).toBeCloseTo(onCloud!.estimateMs!, 9);
  });

  it("corrects a wrong estimate before anything of it is published", async () => {
    const { daemon, improve } = await startConfirmingSite(cleanup, { cloud: honest(1e6) });
    const seen: PlanDocument[] = [];
    improve();
    const plan = await awaitLayers(daemon, "cam-1:0–0 edge-1:1–5", (one) => {
      if (seen.at(-1) !== one) seen.push(one);
    });
    // The daemon's own node measured it in a child process.
    expect(plan.partitions[1]).toMatchObject({ node: "edge-1", confirmed: true });
    expect(seen.flatMap(({ partitions }) => partitions.map(({ node }) => node))).not.toContain(
      "gpu-1",
    );
  });

  it("keeps what was measured over a restart", async () => {
    const { daemon, files, improve, asked } = await startConfirmingSite(cleanup);
    improve();
    const plan = await awaitLayers(daemon, SPLIT);
    expect(asked.length).toBeGreaterThan(0);
    await daemon.stop();
    const again = await runDaemon(files.configPath);
    cleanup.push(() => again.stop());
    expect(planOf(again)).toEqual(plan);
  });

  it.skipIf(mosquitto === undefined)(
    "measures nothing twice over a restart, with Mosquitto as the broker",
    async () => {
      const broker = await startMosquitto(mosquitto!, await freePort());
      cleanup.push(() => broker.stop());
      const { daemon, files, improve, setMbps, asked } = await startConfirmingSite(cleanup, {
        brokerUrl: broker.url,
      });
      improve();
      const plan = await awaitLayers(daemon, SPLIT);
      expect(plan.partitions.every(({ confirmed }) => confirmed === true)).toBe(true);
      await daemon.stop();
      const askedBefore = asked.length;
      const again = await runDaemon(files.configPath);
      cleanup.push(() => again.stop());
      setMbps(POOR_MBPS);
      await awaitLayers(again, "cam-1:0–5");
      improve();
      const later = await awaitLayers(again, SPLIT);
      expect(later.revision).toBeGreaterThan(plan.revision);
      expect(later.partitions.map(({ confirmed }) => confirmed)).toEqual([true, true]);
      expect(later.partitions.map(({ computeMs }) => computeMs)).toEqual(
        plan.partitions.map(({ computeMs }) => computeMs),
      );
      // Neither for this plan nor for any other that was looked at on the way.
      const layers = (from: number): string[] =>
        asked.slice(from).map(({ node, layers: range }) => `${node}:${range}`);
      expect(layers(askedBefore)).not.toContain("cam-1:0–0");
      expect(layers(askedBefore)).not.toContain("gpu-1:1–5");
      expect(layers(0)).toContain("gpu-1:1–5");
    },
    60_000,
  );

  it("tells an agent that measures of the live work on its node", async () => {
    const { daemon, improve, asked, yields } = await startConfirmingSite(cleanup, {
      cloud: silent,
    });
    const stop = new AbortController();
    const runtime = subscribe(`http://127.0.0.1:${daemon.port}`, {
      role: "runtime",
      node: "gpu-1",
      signal: stop.signal,
    });
    const following = (async () => {
      for await (const update of runtime) expect(update.kind).toBeDefined();
    })();
    cleanup.push(async () => {
      stop.abort();
      await following;
    });
    const stages = [{ node: "gpu-1", computeMs: 1 }];
    const report = (): boolean =>
      runtime.report({ pipeline: "vision", revision: 1, stages, transfers: [], busy: false });
    // Before it measures, as well as while it does.
    await until(() => daemon.status().subscribers === 1 && report(), { timeoutMs: TIMEOUT_MS });
    expect(yields).toEqual([]);
    improve();
    await until(() => asked.find(({ node }) => node === "gpu-1"), { timeoutMs: TIMEOUT_MS });
    await until(() => report() && yields[0], { timeoutMs: TIMEOUT_MS });
    expect(yields[0]).toMatchObject({ node: "gpu-1", command: { overload: false } });
  });

  it("measures nothing where it is turned off", async () => {
    const { daemon, improve, asked } = await startConfirmingSite(cleanup, {
      confirm: { enabled: false },
    });
    improve();
    await awaitLayers(daemon, SPLIT);
    expect(asked).toEqual([]);
  });
});
