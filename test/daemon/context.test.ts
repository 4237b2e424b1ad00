import { describe, expect, it } from "vitest";
import { Context } from "../../src/daemon/context.js";
import { MOMENTS_MAX } from "../../src/drift/index.js";
import { aProfile } from "../support/profiles.js";
import { stateOf } from "../support/telemetry-session.js";

const PATH = { from: "cam-1", to: "edge-1" };
const HALF_LIFE_MS = 10_000;

describe("the context", () => {
  const heard = (context: Context) => context.links().find(({ from }) => from === PATH.from)!;

  it("keeps a bounded history under a flood, and what was known before it", () => {
    const context = new Context();
    const record = (bandwidthMbps: number, nowMs: number): void =>
      context.recordLink(PATH, { rttMs: 5, bandwidthMbps }, { nowMs, halfLifeMs: HALF_LIFE_MS });
    for (let second = 0; second < 20; second += 1) record(8, second * 1_000);
    for (let index = 0; index < 100_000; index += 1) record(0.5, 20_000 + index / 100);
    const { samples } = heard(context);
    expect(samples.length).toBeLessThanOrEqual(MOMENTS_MAX);
    expect(samples.filter(({ bandwidthMbps }) => bandwidthMbps === 8)).toHaveLength(20);
  });

  it("takes late, doubled and reordered samples at their time, and lets the newest stand", () => {
    const context = new Context();
    const times = [3_000, 1_000, 2_000, 3_000, 0];
    for (const nowMs of times) {
      const report = { rttMs: nowMs / 1_000 + 1, bandwidthMbps: 1 };
      context.recordLink(PATH, report, { nowMs, halfLifeMs: HALF_LIFE_MS });
    }
    const { samples, seenAtMs } = heard(context);
    expect(samples.map(({ atMs }) => atMs)).toEqual([0, 1_000, 2_000, 3_000]);
    expect(seenAtMs).toBe(3_000);
  });

  it("takes an outage for a moment, not for a rate", () => {
    const context = new Context();
    const record = (report: object, nowMs: number): void =>
      context.recordLink(PATH, report, { nowMs, halfLifeMs: HALF_LIFE_MS });
    record({ rttMs: 5, bandwidthMbps: 8 }, 0);
    record({ lossPercent: 100 }, 1_000);
    expect(heard(context)).toMatchObject({ isDown: true, secondsPerMegabit: 1 / 8 });
    expect(heard(context).samples.at(-1)?.bandwidthMbps).toBe(0);
    record({ rttMs: 6 }, 2_000);
    expect(heard(context).isDown).toBe(false);
    expect(heard(context).samples.at(-1)).toEqual({ atMs: 2_000, rttMs: 6, bandwidthMbps: 8 });
  });

  it("hears several sources of a link as one, and keeps few links of made-up nodes", () => {
    const context = new Context();
    const record = (source: string, bandwidthMbps: number, sourceWeight: number): void =>
      context.recordLink(
        PATH,
        { rttMs: 5, bandwidthMbps, source },
        { nowMs: 1_000, halfLifeMs: HALF_LIFE_MS, sourceWeight },
      );
    record("probe", 8, 2);
    record("liar", 1_000, 1);
    record("meter", 10, 1);
    const [newest] = heard(context).samples.slice(-1);
    expect(newest?.bandwidthMbps).toBeGreaterThanOrEqual(8);
    expect(newest?.bandwidthMbps).toBeLessThanOrEqual(10);
    for (let index = 0; index < 10_000; index += 1) {
      const path = { from: `no-${index}`, to: "edge-1" };
      context.recordLink(path, { rttMs: 1 }, { nowMs: index, halfLifeMs: HALF_LIFE_MS });
    }
    expect(context.links().length).toBeLessThanOrEqual(256);
  });

  it("is not told by one of two alike that nothing passes", () => {
    const context = new Context();
    const record = (source: string, report: object, nowMs: number): void =>
      context.recordLink(PATH, { ...report, source }, { nowMs, halfLifeMs: HALF_LIFE_MS });
    for (let second = 0; second < 10; second += 1) {
      record("liar", second === 0 ? { rttMs: 5 } : { lossPercent: 100 }, second * 1_000);
      record("honest", { rttMs: 5, bandwidthMbps: 8 }, second * 1_000 + 1);
      if (second > 0) expect(heard(context).isDown).toBe(false);
    }
    expect(heard(context).samples.every(({ bandwidthMbps }) => bandwidthMbps === 8)).toBe(true);
  });

  it("gives remembered values way to the first that is measured", () => {
    const context = new Context();
    context.rememberLinks([{ ...PATH, rttMs: 500, secondsPerMegabit: 10 }], 0);
    expect(heard(context)).toMatchObject({ rttMs: 500, seenAtMs: null, samples: [] });
    context.recordLink(PATH, { rttMs: 5, bandwidthMbps: 8 }, { nowMs: 1_000, halfLifeMs: 1_000 });
    expect(heard(context).rttMs).toBeCloseTo(5, 3);
    expect(heard(context).samples).toEqual([{ atMs: 1_000, rttMs: 5, bandwidthMbps: 8 }]);
  });

  it("serves a node with the newest profile of what it is now, also after it was asked before", () => {
    const context = new Context();
    const state = { ...stateOf("node-1"), hardwareClass: "gpu" };
    const profileAt = (measuredAt: number, hardwareClass: string) =>
      aProfile({
        node: { tier: "cloud", name: `${hardwareClass}-${measuredAt}`, hardwareClass },
        measuredAt,
      });
    const { sha256 } = aProfile().model;
    const served = (): string | undefined => context.profileFor(sha256, state)?.node.name;
    expect(served()).toBeUndefined();
    context.recordProfile(profileAt(1, "gpu"));
    context.recordProfile(profileAt(3, "tpu"));
    expect(served()).toBe("gpu-1");
    context.recordProfile(profileAt(2, "gpu"));
    expect(served()).toBe("gpu-2");
    expect(context.profileFor("b".repeat(64), state)).toBeUndefined();
    expect(context.profileFor(sha256, { ...state, hardwareClass: "tpu" })?.measuredAt).toBe(3);
    expect(context.profileFor(sha256, { ...state, emulatedSlowdown: 5 })).toBeUndefined();
  });
});
