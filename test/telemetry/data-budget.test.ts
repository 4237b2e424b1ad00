import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../../src/core/index.js";
import { DataBudget } from "../../src/telemetry/data-budget.js";
import { probeOptionsSchema } from "../../src/telemetry/index.js";
import { PassiveLinks } from "../../src/telemetry/passive-links.js";
import { Spending } from "../../src/telemetry/spending.js";
import { ManualClock } from "../support/manual-clock.js";

const HOUR_MS = 3_600_000;
const MEGABYTE = 1_000_000;

describe("the data budget", () => {
  it("is never exceeded in any hour, nor in a month beside the first hour", () => {
    const wish = fc.record({
      pauseMs: fc.integer({ min: 0, max: HOUR_MS }),
      bytes: fc.integer({ min: 1, max: 4 * MEGABYTE }),
    });
    fc.assert(
      fc.property(fc.array(wish, { maxLength: 200 }), (wishes) => {
        const budget = new DataBudget({ megabytesPerHour: 16, megabytesPerMonth: 1_000 }, 0);
        const spent: { atMs: number; bytes: number }[] = [];
        let nowMs = 0;
        for (const { pauseMs, bytes } of wishes) {
          nowMs += pauseMs;
          if (budget.take(bytes, nowMs)) spent.push({ atMs: nowMs, bytes });
          const inHour = spent.filter(({ atMs }) => nowMs - atMs < HOUR_MS);
          expect(sum(inHour)).toBeLessThanOrEqual(16 * MEGABYTE);
        }
        const months = nowMs / HOUR_MS / 720;
        expect(sum(spent)).toBeLessThanOrEqual((16 + 1_000 * months) * MEGABYTE + 1);
      }),
    );
  });

  it("has no limit where it has none", () => {
    const budget = new DataBudget({ megabytesPerHour: null, megabytesPerMonth: null }, 0);
    expect(budget.take(1e15, 0)).toBe(true);
    expect(budget.pauseMs(1e15, 0)).toBe(0);
  });

  it("spreads the measurements of a slow metered link over the day, and tells once what it lacks", () => {
    const clock = new ManualClock();
    let told = 0;
    const log = { ...silentLogger, warn: () => (told += 1) };
    const options = probeOptionsSchema.parse({}).dataBudget;
    const spending = new Spending(options, { clock, log });
    const probeBytes = 600_000;
    const spent: { atMs: number; bytes: number }[] = [];
    for (let round = 0; round < 24 * 360; round += 1) {
      const purse = spending.begin("cloud");
      if (purse.spend(probeBytes)) spent.push({ atMs: clock.monotonicMs(), bytes: probeBytes });
      purse.end();
      clock.advance(10_000);
    }
    expect(sum(spent)).toBeLessThan(50 * MEGABYTE);
    const lastHour = spent.filter(({ atMs }) => atMs > 23 * HOUR_MS);
    expect(lastHour.length).toBeGreaterThan(0);
    expect(told).toBeLessThanOrEqual(1);
  });

  it("is shared by all peers of a node", () => {
    const options = probeOptionsSchema.parse({
      dataBudget: { allMegabytesPerHour: 2, megabytesPerHour: 100, megabytesPerMonth: null },
    }).dataBudget;
    const spending = new Spending(options, { clock: new ManualClock(), log: silentLogger });
    const taken = ["a", "b", "c", "d"].filter((peer) => spending.begin(peer).spend(400_000));
    expect(taken).toEqual(["a", "b"]);
  });
});

describe("passive estimates", () => {
  it("are fresh for a while, in their own direction, and only those of runtimes", () => {
    const clock = new ManualClock();
    const passive = new PassiveLinks(clock);
    const path = { from: "cam-1", to: "edge-1" };
    passive.hear({ ...path, report: { bandwidthMbps: 5, source: "telegraf" } });
    expect(passive.isFresh("cam-1", "edge-1", 1_000)).toBe(false);
    passive.hear({ ...path, report: { bandwidthMbps: 5, source: "runtime" } });
    expect(passive.isFresh("cam-1", "edge-1", 1_000)).toBe(true);
    expect(passive.isFresh("edge-1", "cam-1", 1_000)).toBe(false);
    clock.advance(1_001);
    expect(passive.isFresh("cam-1", "edge-1", 1_000)).toBe(false);
  });
});

function sum(spent: readonly { bytes: number }[]): number {
  return spent.reduce((total, { bytes }) => total + bytes, 0);
}
