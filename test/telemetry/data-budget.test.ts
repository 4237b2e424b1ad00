import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../../src/core/index.js";
import { DataBudget } from "../../src/telemetry/data-budget.js";
import { probeOptionsSchema } from "../../src/telemetry/index.js";
import { nextBurstBytes } from "../../src/telemetry/probe-protocol.js";
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

  it("spreads the measurements of a slow metered link over the day, and lacks nothing", () => {
    const { spending, clock, told } = start();
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
    expect(told).toEqual([]);
  });

  it("is shared by all peers of a node, and told once of those for whom nothing is left", () => {
    const dataBudget = { allMegabytesPerHour: 2, megabytesPerHour: 100, megabytesPerMonth: null };
    const { spending, told } = start({ dataBudget });
    const taken = ["a", "b", "c", "d"].filter((peer) => spending.begin(peer).spend(400_000));
    expect(taken).toEqual(["a", "b"]);
    expect(told).toEqual([]);
    while (spending.begin("a").spend(16_384));
    spending.begin("a").spend(16_384);
    expect(told).toEqual(["a"]);
  });

  it("is not told to be used up where a link is faster than it can pay for", () => {
    const { spending, clock, told } = start();
    const options = probeOptionsSchema.parse({});
    let measured = 0;
    for (let round = 0; round < 24 * 360; round += 1) {
      const purse = spending.begin("neighbour");
      for (let direction = 0; direction < 2; direction += 1) {
        let bytes: number | undefined = options.burstBytesMin;
        while (bytes !== undefined && purse.spend(bytes)) {
          measured += 1;
          bytes = nextBurstBytes(bytes, 0.1, options);
        }
      }
      purse.end();
      clock.advance(10_000);
    }
    expect(measured).toBeGreaterThan(100);
    expect(told).toEqual([]);
  });
});

/** What probes of these options may spend, and the peers of which it was told that nothing is left. */
function start(options: object = {}) {
  const clock = new ManualClock();
  const told: unknown[] = [];
  const warn = ({ peer }: { peer?: unknown }): void => void told.push(peer);
  const log = { ...silentLogger, warn } as typeof silentLogger;
  return { clock, told, spending: new Spending(probeOptionsSchema.parse(options), { clock, log }) };
}

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
