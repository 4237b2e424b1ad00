import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  DEFAULT_SOURCE_RULES,
  hearSource,
  type SourceReading,
  sourceWeight,
} from "../../src/drift/index.js";
import type { LinkReport } from "../../src/protocol/index.js";

const value = fc.double({ min: 0.01, max: 100_000, noNaN: true });
const weight = fc.double({ min: 0.01, max: 1_000, noNaN: true });

/** What all reports, each of a source of its own, come to. */
function heard(reports: readonly { report: LinkReport; weight: number; atMs?: number }[]) {
  let readings: readonly SourceReading[] = [];
  let combined: LinkReport = {};
  for (const { report, weight, atMs = 0 } of reports) {
    ({ readings, combined } = hearSource(readings, report, { weight, atMs }));
  }
  return { readings, combined };
}

describe("link sources", () => {
  it("are weighed by the first rule that fits", () => {
    const weights = ["runtime", "probe-cam-1", "telegraf", undefined].map((source) =>
      sourceWeight(DEFAULT_SOURCE_RULES, source),
    );
    expect(weights).toEqual([4, 2, 1, 1]);
    const rules = [
      { match: "lab.*", weight: 0 },
      { match: "unnamed", weight: 3 },
    ];
    expect(sourceWeight(rules, "lab.7")).toBe(0);
    expect(sourceWeight(rules, "labs7")).toBe(0);
    expect(sourceWeight(rules, "unnamed")).toBe(3);
    expect(sourceWeight(rules)).toBe(3);
  });

  it("one alone is taken at its word, whatever it says and when", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ rttMs: value, bandwidthMbps: value })), (reports) => {
        let readings: readonly SourceReading[] = [];
        for (const [index, report] of reports.entries()) {
          const atMs = (index * 7_919) % 1_000;
          const result = hearSource(readings, report, { weight: 1, atMs });
          expect(result.combined).toBe(report);
          readings = result.readings;
        }
      }),
    );
  });

  it("one liar among three or more never moves a value beyond what the others say", () => {
    const honest = fc.array(fc.record({ value, weight }), { minLength: 2, maxLength: 6 });
    const said = fc.oneof(value, fc.constant(0), fc.constant(1_000_000));
    const liar = fc.record({ said, weight });
    fc.assert(
      fc.property(honest, liar, fc.nat(), (others, lie, place) => {
        const reports: { report: LinkReport; weight: number }[] = others.map(
          ({ value, weight }, index) => ({
            report: { source: `s${index}`, rttMs: value, bandwidthMbps: value },
            weight,
          }),
        );
        reports.splice(place % (reports.length + 1), 0, {
          report: { source: "liar", rttMs: lie.said, bandwidthMbps: lie.said, lossPercent: 100 },
          weight: lie.weight,
        });
        const { readings } = heard(reports);
        const last = hearSource(readings, reports.at(-1)!.report, {
          weight: reports.at(-1)!.weight,
          atMs: 0,
        }).combined;
        const values = others.map((one) => one.value);
        const slack = 1e-9;
        for (const metric of [last.rttMs, last.bandwidthMbps]) {
          expect(metric).toBeGreaterThanOrEqual(Math.min(...values) * (1 - slack));
          expect(metric).toBeLessThanOrEqual(Math.max(...values) * (1 + slack));
        }
        expect(last.lossPercent ?? 0).toBeLessThan(100);
      }),
    );
  });

  it("of two the weightier holds, until it falls silent", () => {
    const probe = { report: { source: "probe", bandwidthMbps: 40 }, weight: 2 };
    const meter = { report: { source: "meter", bandwidthMbps: 900 }, weight: 1 };
    expect(heard([probe, meter]).combined.bandwidthMbps).toBeCloseTo(40);
    expect(heard([meter, probe]).combined.bandwidthMbps).toBeCloseTo(40);
    expect(heard([probe, { ...meter, atMs: 60_000 }]).combined.bandwidthMbps).toBe(900);
  });

  it("an outage that only one of several tells is none; one that most tell is one", () => {
    const up = (source: string) => ({ report: { source, bandwidthMbps: 40, rttMs: 5 }, weight: 1 });
    const down = (source: string) => ({ report: { source, lossPercent: 100 }, weight: 1 });
    const one = heard([up("a"), up("b"), down("c")]).combined;
    expect(one.bandwidthMbps).toBeCloseTo(40);
    expect(one.lossPercent).not.toBe(100);
    expect(heard([up("a"), down("b"), down("c")]).combined.bandwidthMbps).toBe(0);
    // Also when the one that denies it reports last, and something else.
    const rtt = { report: { source: "a", rttMs: 5 }, weight: 1 };
    expect(heard([up("a"), down("b"), down("c"), rtt]).combined.bandwidthMbps).toBe(0);
    const back = heard([up("a"), down("b"), down("c"), up("b"), up("c")]).combined;
    expect(back.bandwidthMbps).toBeCloseTo(40);
  });

  /** Reports one after the other, each at its time; what the link is taken for after each of them. */
  function said(
    reports: readonly { source: string; second: number; mbps: number; weight?: number }[],
  ) {
    let readings: readonly SourceReading[] = [];
    return reports.map(({ source, second, mbps, weight = 1 }) => {
      const report = { source, bandwidthMbps: mbps };
      const result = hearSource(readings, report, { weight, atMs: second * 1_000 });
      readings = result.readings;
      return result.combined.bandwidthMbps;
    });
  }

  it("of two that weigh alike, one that says down does not take the link down", () => {
    const reports = Array.from({ length: 20 }, (_, second) => [
      { source: "honest", second, mbps: 40 },
      { source: "liar", second, mbps: second === 0 ? 40 : 0 },
    ]).flat();
    for (const mbps of said(reports)) expect(mbps).toBeCloseTo(40);
  });

  it("where the weightier of two says down, it is down, and the other way round it is not", () => {
    const both = (probe: number, meter: number) =>
      said([
        { source: "probe", second: 0, mbps: probe, weight: 2 },
        { source: "meter", second: 0, mbps: meter, weight: 1 },
      ]).at(-1);
    expect(both(0, 40)).toBe(0);
    expect(both(40, 0)).toBeCloseTo(40);
  });

  it("a true outage is one as soon as the source beyond it has missed two reports", () => {
    // Both report every two seconds; after second 10 the far one is not heard any more.
    const near = Array.from({ length: 12 }, (_, index) => ({
      source: "near",
      second: 2 * index,
      mbps: index > 5 ? 0 : 40,
    }));
    const far = near.slice(0, 6).map((report) => ({ ...report, source: "far", mbps: 40 }));
    const reports = [...far, ...near].sort((one, other) => one.second - other.second);
    const down = reports.filter((_, index) => said(reports.slice(0, index + 1)).at(-1) === 0);
    expect(down[0]?.second).toBe(16);
    expect(down).toHaveLength(4);
  });

  it("a true outage that one of three sees is one when what the others said is not fresh any more", () => {
    const near = Array.from({ length: 60 }, (_, second) => ({
      source: "near",
      second,
      mbps: second > 10 ? 0 : 40,
    }));
    const far = ["b", "c"].flatMap((source) =>
      near.slice(0, 11).map((report) => ({ ...report, source })),
    );
    const reports = [...far, ...near].sort((one, other) => one.second - other.second);
    const mbps = said(reports);
    const first = reports.findIndex((_, index) => mbps[index] === 0);
    expect(reports[first]?.second).toBe(31);
    expect(mbps.slice(first).every((rate) => rate === 0)).toBe(true);
  });

  it("of two, the lighter that says down does not win when the other loses one report", () => {
    const jitter = fc.array(fc.double({ min: -0.2, max: 0.2, noNaN: true }), {
      minLength: 40,
      maxLength: 40,
    });
    fc.assert(
      fc.property(jitter, fc.integer({ min: 2, max: 19 }), (jitters, lost) => {
        const reports = jitters.map((late, index) => {
          const second = 1 + Math.floor(index / 2);
          return index % 2 === 0
            ? {
                source: "honest",
                second: second + late,
                mbps: 40,
                weight: 2,
                isLost: second === lost,
              }
            : { source: "liar", second: second + late, mbps: 0, weight: 1, isLost: false };
        });
        const arrived = reports
          .filter(({ isLost }) => !isLost)
          .sort((one, other) => one.second - other.second);
        // Before the honest one is heard, the liar is the only source.
        const first = arrived.findIndex(({ source }) => source === "honest");
        for (const mbps of said(arrived).slice(first)) expect(mbps).toBeCloseTo(40);
      }),
    );
  });

  it("whoever is heard first after a stall: one of three never takes the link down, two do", () => {
    const seconds = fc.record({
      stall: fc.double({ min: 0, max: 15, noNaN: true }),
      // When each of its reports arrives within the second.
      places: fc.array(fc.double({ min: 0, max: 0.9, noNaN: true }), {
        minLength: 90,
        maxLength: 90,
      }),
      weights: fc.array(weight, { minLength: 3, maxLength: 3 }),
    });
    fc.assert(
      fc.property(seconds, fc.constantFrom(1, 2), ({ stall, places, weights }, liars) => {
        const reports = places.map((place, index) => {
          const round = Math.floor(index / 3);
          return {
            source: `s${index % 3}`,
            second: round + place + (round < 15 ? 0 : stall),
            mbps: index % 3 < liars && round > 0 ? 0 : 40,
            weight: weights[index % 3] ?? 1,
            round,
          };
        });
        const arrived = reports.sort((one, other) => one.second - other.second);
        for (const [index, mbps] of said(arrived).entries()) {
          const { round } = arrived[index]!;
          // By then everyone has said what it says from then on.
          if (round > 1) expect(mbps === 0, `round ${round}`).toBe(liars === 2);
        }
      }),
    );
  });

  it("down needs a strict majority of the weight, and of three or more never one alone", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ weight, isDown: fc.boolean() }), { minLength: 2, maxLength: 7 }),
        (all) => {
          const { combined } = heard(
            all.map(({ weight, isDown }, index) => ({
              report: { source: `s${index}`, bandwidthMbps: isDown ? 0 : 40 },
              weight,
            })),
          );
          const weigh = (of: typeof all): number => of.reduce((sum, one) => sum + one.weight, 0);
          const down = all.filter(({ isDown }) => isDown);
          const isAlone = (count: number): boolean => all.length > 2 && count <= 1;
          const expected = isAlone(down.length)
            ? false
            : isAlone(all.length - down.length) || weigh(down) > weigh(all) / 2;
          expect(combined.bandwidthMbps === 0).toBe(expected);
        },
      ),
    );
  });

  it("keeps few sources of a flood of names", () => {
    const reports = Array.from({ length: 1_000 }, (_, index) => ({
      report: { source: `s${index}`, rttMs: 1 },
      weight: 1,
    }));
    expect(heard(reports).readings.length).toBeLessThanOrEqual(8);
  });
});
