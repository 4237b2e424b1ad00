import { connectAsync, type MqttClient } from "mqtt";
import { afterEach, describe, expect, it } from "vitest";
import { type Clock, systemClock } from "../../src/core/index.js";
import type { Daemon } from "../../src/daemon/index.js";
import { until } from "../support/poll.js";
import {
  awaitTiers,
  planOf,
  SITE,
  type Site,
  startDaemonAtSite,
  tiersOf,
} from "../support/site.js";

const MESSAGES = 100_000;
const GOOD = { uplink: 100, direct: 100, backbone: 100 };
const POOR = { uplink: 0.01, direct: 0.01, backbone: 100 };
const LINK = `scission/v1/${SITE}/links/cam-1/gpu-1`;
const YEAR_MS = 365 * 86_400_000;

describe("hostile telemetry", () => {
  const cleanup: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  async function start(
    clock?: Clock,
  ): Promise<{ daemon: Daemon; site: Site; hostile: MqttClient }> {
    const { daemon, site } = await startDaemonAtSite(cleanup, { clock });
    site.setLinks(GOOD);
    await awaitTiers(daemon, "cloud");
    const hostile = await connectAsync(daemon.broker);
    cleanup.push(() => hostile.endAsync(true));
    return { daemon, site, hostile };
  }

  /** Its kinds in turn: each is wrong, and would matter if it were believed. */
  function message(index: number): { topic: string; payload: string } {
    const now = Date.now();
    const slow = { rttMs: 5_000, bandwidthMbps: 0.01 };
    const kinds: object[] = [
      { ...slow, at: now - YEAR_MS },
      { ...slow, at: now + YEAR_MS },
      { rttMs: -1 },
      { bandwidthMbps: 1e12 },
      { rttMs: 5_000, unit: "s" },
      { ...slow, source: "x".repeat(1_000) },
      // Of somebody who is not believed, as quickly as he can, under one name and under many.
      { ...slow, lossPercent: 100, source: "liar" },
      { ...slow, lossPercent: 100, source: `liar-${index}` },
    ];
    const report = kinds[index % kinds.length];
    if (index % 97 === 0) return { topic: LINK, payload: "{".repeat(3_000) };
    if (index % 89 === 0) {
      const topic = `scission/v1/${SITE}/links/no-${index}/cam-1`;
      return { topic, payload: JSON.stringify({ rttMs: 1 }) };
    }
    return { topic: LINK, payload: JSON.stringify(report) };
  }

  const counted = async (daemon: Daemon, cause: string): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${daemon.port}/metrics`)).text();
    return Number(new RegExp(`cause="${cause}"} (\\d+)`).exec(text)?.[1] ?? 0);
  };

  it("makes no plan, takes little memory, and leaves the daemon alive", {
    timeout: 180_000,
  }, async () => {
    const { daemon, site, hostile } = await start();
    // Two that tell the truth, so that one who lies is outvoted.
    const honest = setInterval(() => {
      for (const [index, source] of ["probe-cam-1", "meter"].entries()) {
        const report = { rttMs: 2, bandwidthMbps: 100, jitterMs: index + 1, source };
        site.device.report("cam-1", "gpu-1", report);
      }
    }, 150);
    cleanup.push(() => {
      clearInterval(honest);
      return Promise.resolve();
    });
    const isHeard = (jitterMs: number): boolean =>
      daemon.status().links.some((link) => link.jitterMs === jitterMs);
    await until(() => isHeard(2), { what: "the second honest source" });
    const before = planOf(daemon)?.revision;
    const rssBefore = process.memoryUsage().rss;
    for (let index = 1; index <= MESSAGES; index += 1) {
      const { topic, payload } = message(index);
      hostile.publish(topic, payload);
      // Let the socket drain, as a publisher in another process would have to.
      if (index % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
      if (index % 10_000 === 0) expect(daemon.isProgressing()).toBe(true);
    }
    await hostile.publishAsync(`scission/v1/${SITE}/links/The End/x`, "", { qos: 1 });
    await until(async () => (await counted(daemon, "topic")) > 0, { timeoutMs: 60_000 });

    for (const cause of ["too-old", "future", "malformed", "rate", "too-many"]) {
      expect(await counted(daemon, cause), cause).toBeGreaterThan(0);
    }
    expect(planOf(daemon)?.revision).toBe(before);
    expect(daemon.status().links.length).toBeLessThan(300);
    expect(process.memoryUsage().rss - rssBefore).toBeLessThan(400_000_000);
    // It still follows what is true.
    clearInterval(honest);
    site.setLinks(POOR);
    for (const source of ["probe-cam-1", "meter"]) {
      site.device.report("cam-1", "gpu-1", { rttMs: 2, bandwidthMbps: 0.01, source });
    }
    await until(() => tiersOf(planOf(daemon)) === "device", { timeoutMs: 60_000 });
  });

  it("a clock that jumps by years makes no plan, and links are followed all the same", {
    timeout: 120_000,
  }, async () => {
    let offMs = 0;
    const clock: Clock = { ...systemClock, nowMs: () => Date.now() + offMs };
    const { daemon, site, hostile } = await start(clock);
    const before = planOf(daemon)?.revision;
    for (const years of [10, -10, 0]) {
      offMs = years * YEAR_MS;
      const seen = await counted(daemon, years > 0 ? "too-old" : "future");
      if (years === 0) break;
      // By its own clock a publisher is right; by the daemon's, nobody can say when that was.
      const report = { rttMs: 5_000, bandwidthMbps: 0.01, at: Date.now() };
      await hostile.publishAsync(LINK, JSON.stringify(report), { qos: 1 });
      const cause = years > 0 ? "too-old" : "future";
      await until(async () => (await counted(daemon, cause)) > seen);
      const heard = performance.now();
      await until(() => {
        const link = daemon.status().links.find(({ to }) => to === "gpu-1");
        return link !== undefined && performance.now() - heard > link.ageSeconds * 1_000;
      });
      expect(planOf(daemon)?.revision).toBe(before);
    }
    site.setLinks(POOR);
    await until(() => tiersOf(planOf(daemon)) === "device", { timeoutMs: 20_000 });
  });
});
