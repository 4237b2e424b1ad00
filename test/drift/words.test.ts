import { describe, expect, it } from "vitest";
import { driftOptionsSchema, type Story, tell, type Verdict } from "../../src/drift/index.js";
import type { Trigger } from "../../src/protocol/index.js";

const FELL: Trigger = {
  kind: "link",
  subject: "bandwidth cam-1 → edge-1",
  before: 12.4,
  after: 4.7,
  unit: "Mbps",
  heldSeconds: 30,
};

function story(verdict: Verdict, change: Partial<Story> = {}): Story {
  return {
    triggers: [FELL],
    verdict,
    revision: 41,
    nextRevision: 42,
    currentLatencyMs: 812,
    bestLatencyMs: 604,
    infeasible: null,
    options: driftOptionsSchema.parse({}),
    ...change,
  };
}

describe("the words of a decision", () => {
  const gainPercent = (1 - 604 / 812) * 100;
  const change = "bandwidth cam-1 → edge-1 fell 62 % (12.4 → 4.7 Mbps) for 30 s";
  const latencies = "revision 41 would take 812 ms, best is 604 ms (−26 %)";
  const keep = { kind: "keep", gainPercent } as const;

  it.each<[string, Verdict, string]>([
    ["published", { kind: "publish", gainPercent }, "published revision 42"],
    ["the best already", { ...keep, because: "same" }, "kept revision 41, still the best"],
    [
      "too small",
      { ...keep, because: "gainTooSmall", missing: { have: 2.345, need: 4 } },
      "kept revision 41, the gain is 2.35 % of the 4 % that it takes",
    ],
    [
      "not worth it",
      { ...keep, because: "notWorthIt", missing: { have: 320, need: 487.2 } },
      "kept revision 41, a switch costs 487 ms and would gain 320 ms within 8 s",
    ],
    [
      "unproven",
      { ...keep, because: "unproven", missing: { have: 167.4, need: 243.6 } },
      "kept revision 41, staying has lost 167 ms of the 244 ms that tell a change from a fluctuation",
    ],
    [
      "holding",
      { ...keep, because: "holding", missing: { have: 1, need: 5 } },
      "kept revision 41, the gain has lasted 1 s of 5 s",
    ],
    ["quiet", { ...keep, because: "quiet" }, "kept revision 41, these are quiet hours"],
    [
      "cooling down",
      { kind: "defer", gainPercent, waitMs: 12_340, for: "cooldown" },
      "kept revision 41 for another 12.3 s, until the cooldown ends",
    ],
    [
      "rate-limited",
      { kind: "defer", gainPercent, waitMs: 599_000, for: "rateLimit" },
      "kept revision 41 for another 599 s, until the limit of plans in an hour allows one",
    ],
  ])("%s", (_, verdict, words) => {
    expect(tell(story(verdict))).toBe(`${change}; ${latencies}: ${words}`);
  });

  it("says what makes plans impossible", () => {
    const gone: Trigger = { ...FELL, kind: "presence", subject: "gpu-1 is gone", after: null };
    const told = tell(
      story(
        { kind: "infeasible" },
        {
          triggers: [gone],
          currentLatencyMs: null,
          bestLatencyMs: null,
          infeasible: "no link edge-1 → gpu-1",
        },
      ),
    );
    expect(told).toBe(
      "gpu-1 is gone; revision 41 cannot run any more: no plan is possible: no link edge-1 → gpu-1",
    );
  });

  it("tells of three changes and counts the rest", () => {
    const told = tell(
      story({ kind: "publish", gainPercent }, { triggers: Array<Trigger>(5).fill(FELL) }),
    );
    expect(told).toBe(
      `${change}, ${change}, ${change}, 2 more; ${latencies}: published revision 42`,
    );
  });
});
