import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Context } from "../../src/daemon/context.js";
import { linkKey, sourceWeight } from "../../src/drift/index.js";
import { momentsOfRecording, parseRecording } from "../../src/replay/index.js";

const PATH = { from: "cam-1", to: "edge-1" };
const KEY = linkKey(PATH);
const BEFORE = new Map([[KEY, { rttMs: 5, bandwidthMbps: 20 }]]);
const START_MS = 1_700_000_000_000;
const RULES = [
  { match: "liar-heard", weight: 1 },
  { match: "ignored", weight: 0 },
  { match: "probe*", weight: 2 },
  { match: "*", weight: 1 },
];

interface Said {
  second: number;
  source: string;
  bandwidthMbps?: number | undefined;
  rttMs?: number | undefined;
  lossPercent?: number | undefined;
}

function recorded(said: readonly Said[]): string {
  return said
    .map(({ second, ...report }) =>
      JSON.stringify({ kind: "link", at: START_MS + second * 1_000, ...PATH, ...report }),
    )
    .join("\n");
}

function qualities(said: readonly Said[]) {
  const recording = parseRecording([{ path: "r.jsonl", text: recorded(said) }]);
  return momentsOfRecording(BEFORE, recording, RULES).map(({ links }) => links.get(KEY));
}

describe("a recording with several sources", () => {
  it("outvotes a liar among three, and leaves out those that are ignored", () => {
    const said = Array.from({ length: 5 }, (_, second) =>
      ["a", "b", "liar-heard", "ignored"].map((source) => ({
        second,
        source,
        bandwidthMbps: source === "a" || source === "b" ? 20 : 900,
      })),
    ).flat();
    const seen = qualities(said);
    expect(seen).toHaveLength(5);
    for (const quality of seen) expect(quality?.bandwidthMbps).toBeCloseTo(20);
  });

  it("believes the weightier of two", () => {
    const said = [
      { second: 0, source: "probe-cam-1", bandwidthMbps: 40 },
      { second: 0, source: "meter", bandwidthMbps: 1 },
      { second: 0, source: "meter", lossPercent: 100 },
    ];
    expect(qualities(said).at(-1)?.bandwidthMbps).toBeCloseTo(40);
  });

  it("comes to what the daemon made of the same reports", () => {
    const report = fc.record({
      pauseMs: fc.nat(4_000),
      source: fc.constantFrom("a", "b", "probe-cam-1", "liar-heard", "ignored"),
      bandwidthMbps: fc.option(fc.double({ min: 0.01, max: 500, noNaN: true }), { nil: undefined }),
      rttMs: fc.double({ min: 0.1, max: 500, noNaN: true }),
      lossPercent: fc.option(fc.constantFrom(0, 3, 100), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(report, { minLength: 1, maxLength: 40 }), (reports) => {
        let atMs = 0;
        const context = new Context();
        context.rememberLinks([{ ...PATH, rttMs: 5, secondsPerMegabit: 1 / 20 }], 0);
        const said = reports.map(({ pauseMs, ...heard }) => {
          atMs += pauseMs;
          const sourceWeightOf = sourceWeight(RULES, heard.source);
          if (sourceWeightOf > 0) {
            const time = { nowMs: atMs, halfLifeMs: 1_000, sourceWeight: sourceWeightOf };
            context.recordLink(PATH, heard, time);
          }
          return { second: atMs / 1_000, ...heard };
        });
        const replayed = qualities(said).at(-1);
        const newest = context.links()[0]?.samples.at(-1);
        expect(replayed?.rttMs).toBeCloseTo(newest?.rttMs ?? 5, 9);
        expect(replayed?.bandwidthMbps).toBeCloseTo(newest?.bandwidthMbps ?? 20, 9);
      }),
    );
  });

  it("takes one that was measured before another that came sooner as older, not as a jump", () => {
    const seen = qualities([
      { second: 0, source: "a", bandwidthMbps: 10 },
      { second: 4, source: "a", bandwidthMbps: 30 },
      { second: 2, source: "a", bandwidthMbps: 10 },
      { second: 5, source: "a", rttMs: 7 },
    ]);
    expect(seen).toHaveLength(6);
    expect(seen[4]?.bandwidthMbps).toBe(30);
  });
});
