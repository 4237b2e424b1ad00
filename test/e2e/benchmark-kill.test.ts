import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { stringify } from "yaml";
import { afterEach, describe, expect, it } from "vitest";
import type { Profile } from "../../src/protocol/index.js";
import { childrenOf, nicenessOf } from "../support/child-processes.js";
import {
  freePort,
  kill,
  killedBy,
  type RunningProcess,
  spawnScissiond,
  statusAt,
} from "../support/daemon-process.js";
import { buildModel } from "../support/onnx-builder.js";
import { until } from "../support/poll.js";
import { SITE, siteYaml, writeSite } from "../support/site.js";
import { heavyChain } from "../support/small-models.js";

/** It rests for long between its steps, so that there is a step to be killed before. */
const SLOW = {
  warmups: 0,
  repeats: 2,
  repeatsMax: 2,
  cpuSharePercent: 8,
  inference: { niceness: 0 },
};
const QUICK = { ...SLOW, cpuSharePercent: 100 };
const WAIT = { timeoutMs: 60_000 };

describe("a benchmark whose process is killed", () => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  const spawn = (...words: string[]): RunningProcess => killedBy(cleanup, spawnScissiond(words));

  /** What the checkpoint in `directory` holds beside the processor's speed, once there is something. */
  async function checkpoint(directory: string): Promise<{ name: string; result: object }[]> {
    return until(
      async () => {
        const [file] = await readdir(directory).catch(() => []);
        if (file?.endsWith(".json") !== true) return undefined;
        const text = await readFile(join(directory, file), "utf8").catch(() => "null");
        const saved = JSON.parse(text) as { steps: { name: string; result: object }[] } | null;
        const timed = saved?.steps.filter(({ name }) => name !== "processor") ?? [];
        return timed.length === 0 ? undefined : timed;
      },
      { ...WAIT, what: "a checkpoint with a step" },
    );
  }

  /** Whether the profile's blocks have the very times that the first step of the checkpoint had found. */
  function expectKept(steps: readonly { result: object }[], profile: Profile): void {
    const { blockMs } = steps[0]?.result as { blockMs: number[] };
    expect(profile.blocks.map(({ rawMedianMs }) => rawMedianMs)).toEqual(blockMs);
  }

  async function site(benchmark: object) {
    const ports = { http: await freePort(), broker: await freePort() };
    const sections = (more: object): Record<string, unknown> => ({
      listen: { port: ports.http },
      mqtt: { broker: { port: ports.broker } },
      emulate: { slowdown: 1 },
      benchmark: more,
    });
    const files = await writeSite(sections(benchmark));
    cleanup.push(() => files.remove());
    const model = buildModel(heavyChain());
    const sha256 = createHash("sha256").update(model).digest("hex");
    await writeFile(join(files.directory, "chain.onnx"), model);
    const status = () => statusAt(`http://127.0.0.1:${ports.http}`);
    /** As the broker has it, which tells more than the status. */
    const publishedOf = async (node: string): Promise<Profile> => {
      const client = await connectAsync(`mqtt://127.0.0.1:${ports.broker}`);
      const told: Profile[] = [];
      client.on("message", (_, payload) => told.push(JSON.parse(payload.toString()) as Profile));
      await client.subscribeAsync(`scission/v1/${SITE}/nodes/${node}/profiles/${sha256}`);
      const profile = await until(() => told[0], { ...WAIT, what: "the published profile" });
      await client.endAsync();
      return profile;
    };
    const profileOf = (node: string) =>
      until(async () => (await status())?.profiles.find((one) => one.node === node), {
        ...WAIT,
        what: `a profile of ${node}`,
      });
    const configure = (more: object, others: object = {}) =>
      writeFile(files.configPath, siteYaml({ ...sections(more), ...others }));
    return { ...files, ports, status, profileOf, publishedOf, configure };
  }

  function agentOf({
    directory,
    ports,
  }: {
    directory: string;
    ports: { http: number; broker: number };
  }) {
    const agentPath = join(directory, "agent.yaml");
    const configureAgent = (benchmark: object) =>
      writeFile(
        agentPath,
        stringify({
          site: SITE,
          node: { name: "cam-1", tier: "device" },
          daemonUrl: `http://127.0.0.1:${ports.http}`,
          mqtt: { url: `mqtt://127.0.0.1:${ports.broker}` },
          stateDirectory: "agent",
          probeServer: { enabled: false },
          benchmark,
        }),
      );
    return { agentPath, configureAgent };
  }

  it("goes on where it was when the daemon is back", async () => {
    const { directory, configPath, publishedOf, profileOf, configure } = await site(SLOW);
    const first = spawn("run", "--config", configPath);
    const steps = await checkpoint(join(directory, "state", "checkpoints"));
    await kill(first);
    await configure(QUICK);
    const second = spawn("run", "--config", configPath);
    await profileOf("edge-1");
    expect(second.output()).toContain("going on with a benchmark that was stopped");
    expectKept(steps, await publishedOf("edge-1"));
  }, 150_000);

  it("is given up when its agent dies, and gone on with when that is back", async () => {
    const { directory, configPath, ports, status, profileOf, publishedOf } = await site(QUICK);
    spawn("run", "--config", configPath);
    await profileOf("edge-1");
    const { agentPath, configureAgent } = agentOf({ directory, ports });
    await configureAgent(SLOW);
    const first = spawn("agent", "--config", agentPath);
    const steps = await checkpoint(join(directory, "agent", "checkpoints"));
    await kill(first);
    await until(async () => (await status())?.benchmark.lastOutcome?.includes("gone"), {
      ...WAIT,
      what: "the benchmark is given up",
    });
    expect((await status())?.profiles.map(({ node }) => node)).toEqual(["edge-1"]);
    await configureAgent(QUICK);
    const second = spawn("agent", "--config", agentPath);
    await profileOf("cam-1");
    expect(second.output()).toContain("going on with a benchmark that was stopped");
    expectKept(steps, await publishedOf("cam-1"));
  }, 150_000);

  it("ends at the agent when its daemon wants it no longer, and when that is killed", async () => {
    const { directory, configPath, ports, profileOf, configure } = await site(QUICK);
    const daemon = spawn("run", "--config", configPath);
    await profileOf("edge-1");
    const { agentPath, configureAgent } = agentOf({ directory, ports });
    // Its rests last for minutes: by itself it does not end within this test.
    await configureAgent({ ...SLOW, cpuSharePercent: 1, inference: { niceness: 7 } });
    const agent = spawn("agent", "--config", agentPath);
    const measuring = () =>
      until(async () => (await childrenOf(agent.pid))[0], {
        ...WAIT,
        what: "a process that measures",
      });
    const nothingLeft = (why: string) =>
      until(async () => (await childrenOf(agent.pid)).length === 0, { ...WAIT, what: why });
    const child = await measuring();
    await until(
      async () => {
        const threads = await nicenessOf(child);
        return threads.length > 1 && threads.every((niceness) => niceness === 7);
      },
      { ...WAIT, what: "all threads of what measures to have a low priority" },
    );
    expect(await nicenessOf(agent.pid)).toContain(0);
    await configure(QUICK, { models: [], pipelines: [] });
    daemon.signal("SIGHUP");
    await nothingLeft("the end of what a reload made superfluous");

    await configure(QUICK);
    daemon.signal("SIGHUP");
    await measuring();
    await kill(daemon);
    await nothingLeft("the end of what a dead daemon asked for");
    expect(agent.exited()).toBe(false);
    // It was ended, and did not come to its end.
    expect(await readdir(join(directory, "agent", "profiles"))).toEqual([]);
  }, 200_000);
});
