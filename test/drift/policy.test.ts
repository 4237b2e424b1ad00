import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/core/index.js";
import {
  afterPublication,
  type Choice,
  decidePlan,
  driftOptionsSchema,
  isQuiet,
  type Outlook,
  outlookOf,
  type PolicyState,
  startPolicy,
  type Verdict,
} from "../../src/drift/index.js";

const OPTIONS = driftOptionsSchema.parse({ holdSeconds: 0, cooldownSeconds: 1 });
const takes = (latencyMs: number): Outlook => ({ newestMs: latencyMs, expectedMs: latencyMs });

function choice(change: Partial<Choice>): Choice {
  return {
    nowMs: 1_000,
    current: takes(100),
    best: takes(50),
    isSame: false,
    isLasting: false,
    isQuiet: false,
    allPublications: [],
    ...change,
  };
}

/** Looks once a second at these; the verdicts. */
function follow(
  looks: readonly { current: Outlook; best: Outlook }[],
  options: Partial<typeof OPTIONS> = {},
): Verdict[] {
  let state: PolicyState = startPolicy(0);
  return looks.map(({ current, best }, index) => {
    const isSame = best.expectedMs >= current.expectedMs;
    const nowMs = (index + 1) * 1_000;
    const decided = decidePlan(
      state,
      choice({ nowMs, current, best: isSame ? current : best, isSame }),
      { ...OPTIONS, ...options },
    );
    const isPublished = decided.verdict.kind === "publish";
    state = isPublished ? afterPublication(decided.state, nowMs) : decided.state;
    return decided.verdict;
  });
}

describe("decidePlan", () => {
  it("replaces a plan that cannot run at once, during the cooldown too", () => {
    const state = startPolicy(0, [900]);
    const { verdict } = decidePlan(state, choice({ current: null, best: takes(900) }), OPTIONS);
    expect(verdict).toEqual({ kind: "publish", gainPercent: null });
  });

  it("says that nothing is possible where there is no plan", () => {
    const { verdict } = decidePlan(startPolicy(0), choice({ best: null }), OPTIONS);
    expect(verdict.kind).toBe("infeasible");
  });

  it("keeps the plan that is the best", () => {
    const same = choice({ best: takes(100), isSame: true });
    const { verdict } = decidePlan(startPolicy(0), same, OPTIONS);
    expect(verdict).toEqual({ kind: "keep", gainPercent: 0, because: "same" });
  });

  it("declines a gain below the least one, even a lasting one", () => {
    const { verdict } = decidePlan(
      startPolicy(0),
      choice({ best: takes(97), isLasting: true }),
      OPTIONS,
    );
    expect(verdict).toMatchObject({ kind: "keep", because: "gainTooSmall" });
  });

  it("asks for a proof from links, and for none from nodes, profiles and constraints", () => {
    const fresh = startPolicy(1_000);
    expect(decidePlan(fresh, choice({}), OPTIONS).verdict).toMatchObject({ because: "unproven" });
    const lasting = decidePlan(fresh, choice({ isLasting: true }), OPTIONS);
    expect(lasting.verdict).toEqual({ kind: "publish", gainPercent: 50 });
  });

  it("waits for the cooldown to end", () => {
    const state = startPolicy(0, [600]);
    const { verdict } = decidePlan(state, choice({}), OPTIONS);
    expect(verdict).toEqual({ kind: "defer", gainPercent: 50, waitMs: 600, for: "cooldown" });
  });

  it("waits until the gain has lasted as long as it must", () => {
    const looks = Array.from({ length: 4 }, () => ({ current: takes(100), best: takes(50) }));
    const kinds = follow(looks, { holdSeconds: 2 }).map(({ kind }) => kind);
    expect(kinds).toEqual(["keep", "keep", "publish", "keep"]);
  });

  it("publishes at most so many plans an hour, of this pipeline and of all", () => {
    const own = { ...OPTIONS, switchesPerHourMax: 2 };
    const worn = startPolicy(0, [-3_000_000, -100_000]);
    const waiting = { kind: "defer", for: "rateLimit", waitMs: 599_000 };
    expect(decidePlan(worn, choice({}), own).verdict).toMatchObject(waiting);
    const all = { ...OPTIONS, allSwitchesPerHourMax: 2 };
    const others = choice({ allPublications: [-3_000_000, -100_000] });
    expect(decidePlan(startPolicy(0), others, all).verdict).toMatchObject(waiting);
    expect(decidePlan(startPolicy(0), others, own).verdict.kind).toBe("publish");
  });

  it("publishes nothing in quiet hours, unless the plan cannot run", () => {
    const quiet = choice({ isQuiet: true });
    expect(decidePlan(startPolicy(0), quiet, OPTIONS).verdict).toMatchObject({ because: "quiet" });
    const dead = { ...quiet, current: null };
    expect(decidePlan(startPolicy(0), dead, OPTIONS).verdict.kind).toBe("publish");
  });

  it("declines a switch that costs more than it gains before the context changes again", () => {
    const looks = [{ current: takes(100), best: takes(50) }];
    const [dear] = follow(looks, { switchCostMs: 500 });
    expect(dear).toMatchObject({ kind: "keep", because: "notWorthIt" });
    const [cheap] = follow(looks, { switchCostMs: 20 });
    expect(cheap?.kind).toBe("publish");
  });

  it("switches anyway once staying has cost as much as the switch", () => {
    const looks = Array.from({ length: 20 }, () => ({ current: takes(100), best: takes(50) }));
    const verdicts = follow(looks, { switchCostMs: 500, regretSlackPercent: 0 });
    expect(verdicts.findIndex(({ kind }) => kind === "publish")).toBe(9);
  });

  it("decides the same for the same looks, and says what was missing for each it declines", () => {
    const latency = fc.double({ min: 1, max: 1_000, noNaN: true });
    const look = fc.record({ current: latency, best: latency });
    fc.assert(
      fc.property(fc.array(look, { maxLength: 60 }), (list) => {
        const looks = list.map(({ current, best }) => ({
          current: takes(current),
          best: takes(Math.min(current, best)),
        }));
        const verdicts = follow(looks);
        expect(follow(looks)).toEqual(verdicts);
        for (const verdict of verdicts) {
          if (verdict.kind !== "keep" || verdict.because === "same") continue;
          expect(verdict.missing!.have).toBeLessThan(verdict.missing!.need);
        }
      }),
    );
  });

  it("never switches under jitter of ten percent, wherever the plans cross", () => {
    const transferShare = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.integer(), transferShare, (seed, share) => {
        const random = seededRandom(seed);
        // One plan moves its data over the link, the other none; at the nominal rate both take 100.
        const samples = Array.from({ length: 200 }, (_, second) => {
          const rate = 1 + (random() - 0.5) * 0.2;
          return { atMs: second * 1_000, latencyMs: 100 * (1 - share) + (100 * share) / rate };
        });
        const looks = samples.map((_, second) => ({
          current: outlookOf(samples.slice(0, second + 1), OPTIONS)!,
          best: takes(100),
        }));
        expect(follow(looks).every(({ kind }) => kind === "keep")).toBe(true);
      }),
    );
  });

  it("finds a step within three looks when it doubles the latency", () => {
    fc.assert(
      fc.property(fc.double({ min: 2, max: 50, noNaN: true }), (factor) => {
        const looks = Array.from({ length: 5 }, () => ({
          current: takes(100 * factor),
          best: takes(100),
        }));
        expect(follow(looks).findIndex(({ kind }) => kind === "publish")).toBeLessThanOrEqual(2);
      }),
    );
  });
});

describe("quiet hours", () => {
  const at = (time: string): number => Date.parse(`2026-03-29T${time}:00Z`);

  it.each([
    ["22:00", "06:00", "21:59", false],
    ["22:00", "06:00", "22:00", true],
    ["22:00", "06:00", "05:59", true],
    ["22:00", "06:00", "06:00", false],
    ["08:00", "09:30", "09:29", true],
    ["08:00", "09:30", "09:30", false],
    ["00:00", "00:00", "13:00", true],
  ])("from %s to %s at %s: %s", (...[from, to, time, expected]) => {
    expect(isQuiet([{ from, to }], at(time))).toBe(expected);
  });
});
