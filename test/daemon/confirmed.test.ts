import { describe, expect, it } from "vitest";
import { presentMs, withNewer } from "../../src/daemon/confirmed.js";
import type { ConfirmedRange, Profile } from "../../src/protocol/index.js";
import { aProfile } from "../support/profiles.js";

const MEASURED_AT = 1_900_000_000_000;
const HOUR_MS = 3_600_000;

function aRange(overrides: Partial<ConfirmedRange> = {}): ConfirmedRange {
  const profile = aProfile();
  return {
    modelSha256: profile.model.sha256,
    node: "cam-1",
    hardwareClass: "generic",
    firstLayer: 2,
    lastLayer: 5,
    medianMs: 7,
    p95Ms: 8,
    spreadMs: 1,
    repeats: 5,
    stable: true,
    measuredAt: MEASURED_AT,
    environment: profile.environment,
    profile: { wholeMs: profile.wholeMs, fullAt: profile.measuredAt },
    ...overrides,
  };
}

describe("a measured range", () => {
  const msIn = (profile: Profile, hours = 1): number | undefined =>
    presentMs(aRange(), profile, {
      maxAgeHours: 48,
      changePercent: 10,
      nowMs: MEASURED_AT + hours * HOUR_MS,
    });

  it("holds while its profile does", () => {
    expect(msIn(aProfile())).toBe(7);
  });

  it("is scaled as a short look at the whole model scaled its profile", () => {
    const refreshed = { fullAt: aProfile().measuredAt, scaledBy: 1.2 };
    expect(msIn(aProfile({ wholeMs: 14.4, measuredAt: 2e12, refreshed }))).toBeCloseTo(8.4);
  });

  it("survives a new benchmark that says about the same, in proportion, and no other", () => {
    expect(msIn(aProfile({ wholeMs: 13, measuredAt: 2e12 }))).toBeCloseTo((7 * 13) / 12);
    expect(msIn(aProfile({ wholeMs: 14, measuredAt: 2e12 }))).toBeUndefined();
    expect(msIn(aProfile({ wholeMs: 10, measuredAt: 2e12 }))).toBeUndefined();
  });

  it("is of no use in another environment, with other external data, too late or too early", () => {
    const { environment } = aProfile();
    expect(msIn(aProfile({ environment: { ...environment, threads: 2 } }))).toBeUndefined();
    const slower = { ...environment, emulatedSlowdown: 3 };
    expect(msIn(aProfile({ environment: slower }))).toBeUndefined();
    expect(msIn(aProfile({ externalSha256: "b".repeat(64) }))).toBeUndefined();
    expect(msIn(aProfile(), 49)).toBeUndefined();
    expect(msIn(aProfile(), -1)).toBeUndefined();
  });

  it("gives way to a newer one of the same layers and node; the oldest go first", () => {
    const [one, two] = [aRange(), aRange({ lastLayer: 6 })];
    const newer = aRange({ medianMs: 9 });
    expect(withNewer([one, two], [newer], 10)).toEqual([two, newer]);
    expect(withNewer([one, two], [newer], 1)).toEqual([newer]);
  });
});
