import { describe, expect, it } from "vitest";
import { isNews } from "../../src/daemon/decision.js";
import { newTrack } from "../../src/daemon/track.js";
import type { Ruling } from "../../src/drift/index.js";

const QUIET: Ruling = { kind: "keep", gainPercent: 50, because: "quiet" };
const SAME: Ruling = { kind: "keep", gainPercent: 0, because: "same" };
const deferred = (by: "cooldown" | "rateLimit"): Ruling => ({
  kind: "defer",
  gainPercent: 50,
  waitMs: 1_000,
  for: by,
});

describe("what is worth a record", () => {
  const isTold = (ruling: Ruling, track = newTrack()): boolean =>
    isNews(ruling, { triggers: [], track, nowMs: 100_000 });

  it("is a switch that a rule of the user holds back, also without a new change", () => {
    expect(isTold(QUIET)).toBe(true);
    expect(isTold(deferred("rateLimit"))).toBe(true);
    expect(isTold(deferred("cooldown"))).toBe(false);
    expect(isTold(SAME)).toBe(false);
  });

  it("is that once, and not right after another record", () => {
    expect(isTold(QUIET, { ...newTrack(), declined: "quiet", declinedAtMs: 0 })).toBe(false);
    expect(isTold(QUIET, { ...newTrack(), declined: "unproven", declinedAtMs: 0 })).toBe(true);
    expect(isTold(QUIET, { ...newTrack(), declinedAtMs: 99_000 })).toBe(false);
  });
});
