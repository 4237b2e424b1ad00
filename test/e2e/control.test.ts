import { afterEach, describe, expect, it } from "vitest";
import type { Decision, PlanDocument, Status } from "../../src/protocol/index.js";
import { tokenClient } from "../support/clients.js";
import {
  freePort,
  kill,
  killedBy,
  type RunningProcess,
  spawnScissiond,
} from "../support/daemon-process.js";
import { until } from "../support/poll.js";
import { startSite, writeSite } from "../support/site.js";

const PIPELINE = "vision-cam-1";
const GOOD = { uplink: 100, direct: 100, backbone: 100 };
const POOR = { uplink: 0.01, direct: 0.01, backbone: 100 };

describe("operator control over kill -9", () => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  it("records every wish, keeps it, and says when a pinned configuration cannot be", async () => {
    const [http, broker] = [await freePort(), await freePort()];
    const url = `http://127.0.0.1:${http}`;
    const files = await writeSite({
      listen: {
        port: http,
        clients: [
          tokenClient("boss", "admin"),
          tokenClient("cam-1", "runtime", { nodes: ["cam-1"] }),
          tokenClient("screen", "observer"),
        ],
      },
      mqtt: { broker: { port: broker }, reconnect: { minMs: 50, maxMs: 200 } },
    });
    cleanup.push(() => files.remove());
    const start = (): RunningProcess =>
      killedBy(cleanup, spawnScissiond(["run", "--config", files.configPath]));
    let daemon = start();
    const restart = async (): Promise<void> => {
      await kill(daemon);
      daemon = start();
      await until(() => status().catch(() => undefined), { timeoutMs: 20_000, what: "restart" });
    };
    const site = await startSite(`mqtt://127.0.0.1:${broker}`);
    cleanup.push(() => site.stop());

    const authorization = "Bearer boss-token";
    const get = async <T>(path: string): Promise<T> =>
      (await (await fetch(`${url}${path}`, { headers: { authorization } })).json()) as T;
    const status = (): Promise<Status> => get<Status>("/api/v1/status");
    const plan = async (): Promise<PlanDocument | null | undefined> =>
      (await status().catch(() => undefined))?.pipelines[0]?.plan;
    const decisions = async (): Promise<Decision[]> =>
      (await get<{ decisions: Decision[] }>("/api/v1/decisions")).decisions;
    const planOn = (tiers: string): Promise<PlanDocument> =>
      until(
        async () => {
          const now = await plan();
          return now?.partitions.map(({ tier }) => tier).join(" ") === tiers ? now : undefined;
        },
        { timeoutMs: 90_000, what: `a plan on ${tiers}` },
      );
    const online = (count: number): Promise<unknown> =>
      until(
        async () => (await status()).nodes.filter(({ online: isOn }) => isOn).length === count,
        { timeoutMs: 20_000, what: `${count} nodes online` },
      );
    /** By the command line, as operators do; resolves with the exit code. */
    const order = (who: string, ...words: string[]): Promise<number | string> =>
      spawnScissiond(["control", ...words, "--url", url], { SCISSIOND_TOKEN: `${who}-token` })
        .ended;

    site.setLinks(GOOD);
    const free = await planOn("cloud");
    for (const who of ["screen", "cam-1", "stranger"]) {
      expect(await order(who, "pause", PIPELINE)).toBe(1);
    }
    expect((await decisions()).some(({ summary }) => summary.includes("asked for"))).toBe(false);

    expect(await order("boss", "pin", PIPELINE, "--stage", "edge-1:0-5")).toBe(0);
    await restart();
    const pinned = await planOn("edge");
    expect(await order("boss", "rollback", PIPELINE)).toBe(0);
    await restart();
    const back = await planOn("cloud");
    expect(back.revision).toBeGreaterThan(pinned.revision);

    // Neither a node that has gone nor links that have become poor matter now.
    expect(await order("boss", "pause", PIPELINE)).toBe(0);
    await site.cloud?.stop();
    await online(2);
    await site.startCloud();
    await restart();
    await online(3);
    site.setLinks(POOR);
    const arePoor = async (): Promise<boolean> => {
      const { links } = await status();
      const uplinks = links.filter(({ from }) => from === "cam-1");
      return uplinks.length === 2 && uplinks.every((link) => (link.bandwidthMbps ?? 1) < 1);
    };
    await until(arePoor, { timeoutMs: 20_000, what: "poor links of the device" });
    expect((await plan())?.revision).toBe(back.revision);

    expect(await order("boss", "resume", PIPELINE)).toBe(0);
    await planOn("device");
    const paused = await decisions();
    const asked = (action: string): number =>
      paused.findIndex(({ summary }) => summary === `boss asked for ${action}`);
    expect(paused.slice(asked("resume") + 1, asked("pause"))).toEqual([]);
    site.setLinks(GOOD);
    await planOn("cloud");
    // A pin to a node that then leaves: the plan stays, and everybody can see why.
    expect(await order("boss", "pin", PIPELINE, "--stage", "gpu-1:0-5")).toBe(0);
    await site.cloud?.stop();
    const problem = async (): Promise<string | undefined> =>
      (await status()).problems.find((text) => text.includes(PIPELINE));
    const told = await until(problem, { timeoutMs: 20_000, what: "a problem" });
    expect(told).toMatch(/gpu-1/);
    expect((await status()).ready).toBe(false);
    expect((await plan())?.partitions.map(({ node }) => node)).toEqual(["gpu-1"]);
    const infeasible = async (): Promise<boolean> =>
      (await decisions()).some(({ verdict }) => verdict === "infeasible");
    await until(infeasible, { timeoutMs: 20_000, what: "a record of it" });
    await restart();
    for (const action of ["replan", "bench"]) expect(await order("boss", action, PIPELINE)).toBe(0);
    await until(problem, { timeoutMs: 20_000, what: "the problem after a restart" });
    expect(await order("boss", "resume", PIPELINE)).toBe(0);
    await restart();
    await planOn("edge");
    const records = (await decisions()).filter(({ triggers }) =>
      triggers.some(({ kind }) => kind === "operator"),
    );
    const actions = records.map(({ summary }) => /^boss asked for (\w+)$/.exec(summary)?.[1]);
    expect(actions.filter((action) => action !== undefined).reverse()).toEqual([
      "pin",
      "rollback",
      "pause",
      "resume",
      "pin",
      "replan",
      "bench",
      "resume",
    ]);
    expect(free.epoch).toBe((await plan())?.epoch);
  }, 240_000);
});
