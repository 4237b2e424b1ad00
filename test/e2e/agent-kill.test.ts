import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { afterEach, describe, expect, it } from "vitest";
import type { Decision, Status } from "../../src/protocol/index.js";
import { childrenOf } from "../support/child-processes.js";
import {
  freePort,
  kill,
  killedBy,
  type RunningProcess,
  spawnScissiond,
  livesAt,
} from "../support/daemon-process.js";
import { until } from "../support/poll.js";
import { layersOf, SITE, startSite, writeSite } from "../support/site.js";

const QUICK = {
  warmups: 0,
  repeats: 2,
  repeatsMax: 2,
  cpuSharePercent: 100,
  sentinel: { enabled: false },
};
/** It rests for a minute or more before each of its steps. */
const SLOW = { ...QUICK, cpuSharePercent: 1 };
/** One measurement of a partition lasts until it is given up. */
const ENDLESS = { ...QUICK, repeats: 10_000, repeatsMax: 10_000, blockBudgetMs: 600_000 };
const WAIT = { timeoutMs: 60_000 };
const POOR = { uplink: 0.01, direct: 0.01, backbone: 0.01 };
const GOOD = { uplink: 100, direct: 100, backbone: 100 };

describe("an agent that is killed half way", () => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  const spawn = (...words: string[]): RunningProcess => killedBy(cleanup, spawnScissiond(words));

  /** A real daemon with a real agent on gpu-1; cam-1 is slow, and reports the links. */
  async function start() {
    const [http, broker] = [await freePort(), await freePort()];
    const files = await writeSite({
      listen: { port: http },
      mqtt: { broker: { port: broker } },
      benchmark: QUICK,
      pipelines: [
        {
          name: "vision",
          model: "chain",
          devices: ["cam-1"],
          constraints: { minBlocksOnDevice: 1 },
        },
      ],
    });
    cleanup.push(() => files.remove());
    const daemon = spawn("run", "--config", files.configPath);
    const url = `http://127.0.0.1:${http}`;
    await until(() => livesAt(url), WAIT);
    const site = await startSite(`mqtt://127.0.0.1:${broker}`, { hasCloud: false });
    cleanup.push(() => site.stop());
    site.setLinks(POOR);

    const agentPath = join(files.directory, "agent.yaml");
    const startAgent = async (benchmark: object): Promise<RunningProcess> => {
      const settings = {
        site: SITE,
        node: { name: "gpu-1", tier: "cloud" },
        daemonUrl: url,
        mqtt: { url: `mqtt://127.0.0.1:${broker}` },
        stateDirectory: "agent",
        probeServer: { enabled: false },
        benchmark,
      };
      await writeFile(agentPath, stringify(settings));
      return spawn("agent", "--config", agentPath);
    };
    const get = async <T>(path: string): Promise<T> =>
      (await (await fetch(`${url}/api/v1/${path}`)).json()) as T;
    const status = (): Promise<Status> => get("status");
    return {
      daemon,
      startAgent,
      status,
      decisions: async () => (await get<{ decisions: Decision[] }>("decisions")).decisions,
      plan: async () => (await status()).pipelines[0]?.plan ?? undefined,
      gpuProfile: async () => (await status()).profiles.find(({ node }) => node === "gpu-1"),
      benchNow: async () => {
        const { pipelines } = await status();
        const answer = await fetch(`${url}/api/v1/pipelines/${pipelines[0]?.name}/control`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ action: "bench" }),
        });
        expect(answer.status, await answer.text()).toBe(202);
      },
      improveLinks: () => site.setLinks(GOOD),
    };
  }

  it("costs neither the profile nor the plan, is named, and goes on when it is back", async () => {
    const site = await start();
    const { daemon, status, plan, gpuProfile, decisions } = site;
    const isOnline = async (online: boolean): Promise<boolean> =>
      (await status()).nodes.some((node) => node.name === "gpu-1" && node.online === online);
    // Else the next agent's start would be taken for done while the farewell of this one is held back.
    const missed = (): Promise<boolean> =>
      until(() => isOnline(false), { ...WAIT, what: "the daemon misses the agent" });
    const lose = async (agent: RunningProcess): Promise<void> => {
      await kill(agent);
      await missed();
    };
    const leave = async (agent: RunningProcess): Promise<void> => {
      agent.signal("SIGTERM");
      await agent.ended;
      await missed();
    };
    const first = await site.startAgent(QUICK);
    const before = await until(gpuProfile, { ...WAIT, what: "a profile of gpu-1" });
    const native = await until(plan, { ...WAIT, what: "a plan" });
    expect(layersOf(native)).toBe("cam-1:0–5");
    await leave(first);

    const slow = await site.startAgent(SLOW);
    await until(() => isOnline(true), WAIT);
    await site.benchNow();
    const isBenchmarking = async (): Promise<boolean> =>
      (await childrenOf(slow.pid)).length > 0 &&
      (await status()).benchmark.progress?.some(({ node }) => node === "gpu-1") === true;
    await until(isBenchmarking, { ...WAIT, what: "gpu-1 measures the model" });
    await lose(slow);
    await until(async () => (await status()).benchmark.lastOutcome?.includes("gpu-1 has gone"), {
      ...WAIT,
      what: "the benchmark is given up",
    });
    expect(daemon.output()).toContain("NODE_LOST");
    expect(await gpuProfile()).toEqual(before);
    expect((await plan())?.revision).toBe(native.revision);

    const quick = await site.startAgent(QUICK);
    const renewed = async (): Promise<boolean> =>
      ((await gpuProfile())?.measuredAt ?? 0) > before.measuredAt;
    await until(renewed, { ...WAIT, what: "the benchmark is done after all" });
    await leave(quick);

    const endless = await site.startAgent(ENDLESS);
    await until(() => isOnline(true), WAIT);
    site.improveLinks();
    const isMeasuring = async (): Promise<boolean> =>
      (await childrenOf(endless.pid)).length > 0 &&
      (await status()).benchmark.confirming?.includes("on gpu-1") === true;
    await until(isMeasuring, { ...WAIT, what: "gpu-1 measures its partition" });
    await lose(endless);
    expect((await plan())?.partitions.map(({ node }) => node)).not.toContain("gpu-1");
    expect(await gpuProfile()).toBeDefined();
    await until(() => daemon.output().includes("gpu-1 has gone while it measured"), WAIT);

    await site.startAgent(QUICK);
    const split = await until(
      async () => {
        const current = await plan();
        const isSplit = current !== undefined && layersOf(current) === "cam-1:0–0 gpu-1:1–5";
        return isSplit ? current : undefined;
      },
      { ...WAIT, what: "a plan with gpu-1" },
    );
    expect(split.partitions[1]?.confirmed).toBe(true);
    expect((await decisions()).some(({ revision }) => revision === split.revision)).toBe(true);
  }, 240_000);
});
