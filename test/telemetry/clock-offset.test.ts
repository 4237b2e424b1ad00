import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AgeVerdict, ClockOffsets } from "../../src/telemetry/clock-offset.js";

const LIMITS = { maxAgeSeconds: 60, futureToleranceSeconds: 10, clockSkewSecondsMax: 600 };

const ROUTER = { from: "cam-1", to: "edge-1", source: "router" };

interface Sent {
  /** When it was measured and when it arrived, by the daemon's clock. */
  measuredMs: number;
  arrivesMs: number;
  /** How far the publisher's clock is ahead. */
  aheadMs: number;
}

function heard(reports: readonly Sent[], limits = LIMITS): AgeVerdict[] {
  const offsets = new ClockOffsets(limits, 10);
  return reports.map(({ measuredMs, arrivesMs, aheadMs }) =>
    offsets.observe(ROUTER, { offsetMs: arrivesMs - (measuredMs + aheadMs), nowMs: arrivesMs }),
  );
}

const everySecond = (
  count: number,
  aheadMs: number,
  delayMs: (second: number) => number = () => 0,
): Sent[] =>
  Array.from({ length: count }, (_, second) => ({
    measuredMs: second * 1_000,
    arrivesMs: second * 1_000 + delayMs(second),
    aheadMs,
  }));

describe("clocks of publishers", () => {
  it("one that is always off by the same is understood after ten seconds, with true ages", () => {
    const ahead = fc.integer({ min: -598_000, max: 600_000 });
    const delays = fc.array(fc.nat(1_500), { minLength: 60, maxLength: 60 });
    fc.assert(
      fc.property(ahead, delays, (aheadMs, delay) => {
        const reports = everySecond(60, aheadMs, (second) => delay[second] ?? 0);
        for (const [index, verdict] of heard(reports).entries()) {
          if (index < 13) continue;
          if (verdict.kind !== "taken") throw new Error(`report ${index} is ${verdict.kind}`);
          expect(verdict.ageMs).toBeLessThanOrEqual(1_500);
        }
      }),
    );
  });

  it("one that is off by more than the limit never is", () => {
    const ahead = fc.oneof(
      fc.integer({ min: 603_000, max: 1e12 }),
      fc.integer({ min: -1e12, max: -603_000 }),
    );
    fc.assert(
      fc.property(ahead, (aheadMs) => {
        for (const { kind } of heard(everySecond(60, aheadMs))) {
          expect(kind).toBe(aheadMs > 0 ? "future" : "too-old");
        }
      }),
    );
  });

  it("what waited for a broker and comes at once is old, however much of it there is", () => {
    const reports = Array.from({ length: 200 }, (_, index) => ({
      measuredMs: index * 10,
      arrivesMs: 300_000 + index,
      aheadMs: 0,
    }));
    expect(heard(reports).every(({ kind }) => kind === "too-old")).toBe(true);
  });

  it("what is replayed beside the source itself is old", () => {
    const reports = everySecond(60, 0).flatMap((report) => [
      report,
      { ...report, measuredMs: report.measuredMs - 120_000 },
    ]);
    const verdicts = heard(reports);
    expect(verdicts.filter((_, index) => index % 2 === 0)).toEqual(
      Array.from({ length: 60 }, () => ({ kind: "taken", ageMs: 0 })),
    );
    expect(verdicts.filter(({ kind }) => kind === "too-old")).toHaveLength(60);
  });

  it("a clock that is set right is right at once, and one that is set wrong is learnt anew", () => {
    const moved = (from: number, aheadMs: number): Sent[] =>
      everySecond(30, aheadMs).map((report) => ({
        ...report,
        measuredMs: report.measuredMs + from,
        arrivesMs: report.arrivesMs + from,
      }));
    const verdicts = heard([...moved(0, 300_000), ...moved(30_000, 0), ...moved(60_000, -200_000)]);
    const taken = verdicts.map(({ kind }) => kind === "taken");
    expect(taken.indexOf(true)).toBe(10);
    expect(taken.slice(10, 60)).not.toContain(false);
    expect(taken.slice(60, 70)).not.toContain(true);
    expect(taken.slice(70)).not.toContain(false);
  });

  it("learns nothing where that is switched off", () => {
    const verdicts = heard(everySecond(60, 120_000), { ...LIMITS, clockSkewSecondsMax: 0 });
    expect(verdicts.every(({ kind }) => kind === "future")).toBe(true);
  });

  const FLOODS = [
    { title: "another link", link: { from: "cam-2", to: "edge-1" } },
    { title: "the same link", link: { from: "cam-1", to: "edge-1" } },
  ];
  it.each(FLOODS)(
    "a flood of made-up sources of $title leaves a learnt clock in use",
    ({ link }) => {
      const offsets = new ClockOffsets(LIMITS, 10);
      const probe = { from: "cam-1", to: "edge-1", source: "probe-cam-1" };
      const hear = (source: typeof ROUTER, second: number): string =>
        offsets.observe(source, { offsetMs: 300_000, nowMs: second * 1_000 }).kind;
      for (let second = 0; second < 20; second += 1) hear(ROUTER, second);
      expect(hear(ROUTER, 20)).toBe("taken");
      for (let index = 0; index < 10_000; index += 1) {
        expect(hear({ ...link, source: `made-up-${index}` }, 20)).toBe("too-old");
      }
      expect(hear(ROUTER, 21)).toBe("taken");
      // What belongs to the link is learnt beside them.
      for (let second = 21; second < 40; second += 1) hear(probe, second);
      expect(hear(probe, 40)).toBe("taken");
    },
  );

  it("a foreign source that was silent for long makes room for another", () => {
    const offsets = new ClockOffsets(LIMITS, 10);
    const hear = (source: string, second: number): string =>
      offsets.observe({ ...ROUTER, source }, { offsetMs: 300_000, nowMs: second * 1_000 }).kind;
    for (const source of ["a", "b", "c"]) hear(source, 0);
    for (let second = 1; second < 60; second += 1) expect(hear("d", second)).toBe("too-old");
    const later = Array.from({ length: 20 }, (_, second) => hear("d", 61 + second));
    expect(later.indexOf("taken")).toBe(10);
  });

  it("of too many links the one that was heard longest ago is forgotten", () => {
    const offsets = new ClockOffsets(LIMITS, 10);
    const hear = (from: string, second: number): string =>
      offsets.observe({ ...ROUTER, from }, { offsetMs: 300_000, nowMs: second * 1_000 }).kind;
    for (let second = 0; second <= 20; second += 1) hear("cam-1", second);
    for (let index = 0; index < 9; index += 1) hear(`node-${index}`, 20);
    expect(hear("cam-1", 21)).toBe("taken");
    for (let index = 0; index < 10; index += 1) hear(`node-${index}`, 21);
    expect(hear("cam-1", 22)).toBe("too-old");
  });
});
