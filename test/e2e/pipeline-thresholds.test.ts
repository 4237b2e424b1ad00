import { afterEach, describe, expect, it } from "vitest";
import { type Clock, systemClock } from "../../src/core/index.js";
import type { Daemon } from "../../src/daemon/index.js";
import type { Status } from "../../src/protocol/index.js";
import { until } from "../support/poll.js";
import { type DaemonAtSite, startDaemonAtSite, tiersOf } from "../support/site.js";

const GOOD = { uplink: 100, direct: 100, backbone: 100 };
/** So slow that the device alone is better, however slow the machine that runs the test. */
const POOR = { uplink: 0.01, direct: 0.01, backbone: 100, rttMs: 500_000 };
const HOUR_MS = 3_600_000;
/** Asked so rarely that the one does not slow down the other. */
const PIPELINE = { model: "chain", devices: ["cam-1"], requestsPerSecond: 0.001 };

describe("thresholds of single pipelines, in a daemon", () => {
  const cleanup: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  /** A clock whose time of day the test sets; it runs on from there. */
  function clockAt(hour: number): { clock: Clock; set: (hour: number) => void } {
    let offMs = 0;
    const set = (next: number): void => {
      const midnight = Math.floor(Date.now() / (24 * HOUR_MS)) * 24 * HOUR_MS;
      offMs = midnight + next * HOUR_MS - Date.now();
    };
    set(hour);
    return {
      clock: {
        sleep: (ms, signal) => systemClock.sleep(ms, signal),
        monotonicMs: () => systemClock.monotonicMs(),
        nowMs: () => Date.now() + offMs,
      },
      set,
    };
  }

  async function start(
    clock: Clock,
    pipelines: readonly [{ name: string; thresholds: object }, ...object[]],
    thresholds: object = {},
  ): Promise<DaemonAtSite> {
    const short = { smoothingHalfLifeSeconds: 0.05, holdSeconds: 0, cooldownSeconds: 0 };
    const [{ name: first }] = pipelines;
    const overrides = { pipelines, thresholds: { ...short, ...thresholds } };
    const started = await startDaemonAtSite(cleanup, { overrides, clock });
    started.site.setLinks(GOOD);
    await onTiers(started.daemon, first, "cloud");
    return started;
  }

  const pipelineOf = (daemon: Daemon, name: string): Status["pipelines"][number] | undefined =>
    daemon.status().pipelines.find((pipeline) => pipeline.name === `${name}-cam-1`);
  const onTiers = (daemon: Daemon, name: string, tiers: string): Promise<unknown> =>
    until(() => tiersOf(pipelineOf(daemon, name)?.plan ?? null) === tiers, {
      timeoutMs: 20_000,
      what: `${name} on ${tiers}`,
    });
  /** A decision whose sentence has these words. */
  const told = async (daemon: Daemon, name: string, words: string): Promise<void> => {
    let last = "nothing";
    const isTold = (): boolean => {
      last = pipelineOf(daemon, name)?.lastDecision?.summary ?? last;
      return last.includes(words);
    };
    await until(isTold, { timeoutMs: 20_000 }).catch(() => expect(last).toContain(words));
  };

  it("quiet hours hold a switch back until they end, for one pipeline and not another", {
    timeout: 90_000,
  }, async () => {
    const { clock, set } = clockAt(20);
    const quietHours = [{ from: "22:00", to: "06:00" }];
    const { daemon, site } = await start(clock, [
      { name: "night", ...PIPELINE, thresholds: { quietHours } },
      { name: "always", ...PIPELINE },
    ]);
    const before = pipelineOf(daemon, "night")?.plan?.revision;
    set(23);
    site.setLinks(POOR);
    await onTiers(daemon, "always", "device");
    await told(daemon, "night", "quiet hours");
    expect(pipelineOf(daemon, "night")?.plan?.revision).toBe(before);
    set(30);
    await onTiers(daemon, "night", "device");

    // What cannot run any more is replaced all the same.
    site.setLinks(GOOD);
    await onTiers(daemon, "night", "cloud");
    set(47);
    await site.cloud?.stop();
    await until(() => !tiersOf(pipelineOf(daemon, "night")?.plan ?? null).includes("cloud"), {
      timeoutMs: 20_000,
      what: "a plan without the cloud",
    });
  });

  it("a threshold of a pipeline goes before the common one, in both directions", {
    timeout: 60_000,
  }, async () => {
    const { daemon, site } = await start(
      systemClock,
      [
        { name: "eager", ...PIPELINE, thresholds: { minGainPercent: 4 } },
        { name: "common", ...PIPELINE },
      ],
      { minGainPercent: 100 },
    );
    // Whatever could run first: no drift gains all of the latency.
    const before = await until(() => pipelineOf(daemon, "common")?.plan?.revision);
    site.setLinks(POOR);
    await onTiers(daemon, "eager", "device");
    site.setLinks(GOOD);
    await onTiers(daemon, "eager", "cloud");
    await told(daemon, "common", "of the 100 % that it takes");
    expect(pipelineOf(daemon, "common")?.plan?.revision).toBe(before);
  });
});
