import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  benchmarkModel,
  benchmarkOptionsSchema,
  judgeSentinel,
  readSentinel,
  refreshProfile,
  type SentinelReading,
} from "../../src/benchmark/index.js";
import { silentLogger, systemClock } from "../../src/core/index.js";
import { profileSchema } from "../../src/protocol/index.js";
import { aProfile } from "../support/profiles.js";
import { loop, type ModelDirectory, modelDirectory } from "../support/small-models.js";

const LIMITS = { okPercent: 5, fullPercent: 25 };
const PROFILE = aProfile();

function reading(overrides: Partial<SentinelReading> = {}): SentinelReading {
  const { model, environment, wholeMs } = PROFILE;
  return {
    measuredAt: PROFILE.measuredAt + 1_000,
    model,
    externalSha256: undefined,
    environment,
    wholeMs,
    stable: true,
    ...overrides,
  };
}

describe("judgeSentinel", () => {
  it.each([
    [12, { kind: "ok" }],
    [12.5, { kind: "ok" }],
    [11.5, { kind: "ok" }],
    [13.2, { kind: "scale", factor: 1.1 }],
    [10, { kind: "scale", factor: 10 / 12 }],
    [16, { kind: "full" }],
    [9, { kind: "full" }],
    [0, { kind: "full" }],
  ])("12 ms became %d ms: %j", (wholeMs, verdict) => {
    const judged = judgeSentinel(PROFILE, reading({ wholeMs }), LIMITS);
    expect(judged).toMatchObject({
      ...verdict,
      ...("factor" in verdict ? { factor: expect.closeTo(verdict.factor, 9) as number } : {}),
    });
  });

  it("does not scale by what it is not sure of", () => {
    const unsure = reading({ wholeMs: 13.2, stable: false });
    expect(judgeSentinel(PROFILE, unsure, LIMITS).kind).toBe("full");
    expect(judgeSentinel(PROFILE, reading({ stable: false }), LIMITS).kind).toBe("ok");
  });

  it("wants everything anew for another model or environment", () => {
    const { model, environment } = PROFILE;
    const others = [
      reading({ model: { ...model, sha256: "b".repeat(64) } }),
      reading({ externalSha256: "c".repeat(64) }),
      reading({ environment: { ...environment, threads: 2 } }),
      reading({ environment: { ...environment, onnxruntimeVersion: "1.31.0" } }),
      reading({ environment: { ...environment, emulatedSlowdown: 2 } }),
    ];
    for (const other of others) expect(judgeSentinel(PROFILE, other, LIMITS).kind).toBe("full");
  });

  it("bounds scalings together as it bounds one", () => {
    const once = refreshProfile(PROFILE, reading({ wholeMs: 14 }), 14 / 12);
    expect(judgeSentinel(once, reading({ wholeMs: 16 }), LIMITS).kind).toBe("full");
    expect(judgeSentinel(once, reading({ wholeMs: 12 }), LIMITS).kind).toBe("scale");
  });
});

describe("refreshProfile", () => {
  it("scales every time, and remembers when the blocks were measured", () => {
    const once = refreshProfile(PROFILE, reading(), 1.1);
    const twice = refreshProfile(once, reading({ measuredAt: PROFILE.measuredAt + 2_000 }), 1.1);
    expect(profileSchema.parse(twice)).toEqual(twice);
    expect(twice.measuredAt).toBe(PROFILE.measuredAt + 2_000);
    expect(twice.refreshed!.fullAt).toBe(PROFILE.measuredAt);
    expect(twice.refreshed!.scaledBy).toBeCloseTo(1.21, 9);
    expect(twice.wholeMs).toBeCloseTo(12 * 1.21, 9);
    expect(twice.blocks[0]!.medianMs).toBeCloseTo(12 * 1.21, 9);
    expect(twice.blocks[0]!.outputBytes).toBe(8);
  });
});

describe("readSentinel", () => {
  let models: ModelDirectory;
  beforeAll(() => {
    models = modelDirectory();
  });
  afterAll(() => models.remove());

  it("times the whole model, in the same words as the benchmark", async () => {
    const deps = { log: silentLogger, clock: systemClock };
    const options = benchmarkOptionsSchema.parse({ repeatsMax: 5 });
    const path = models.write("loop.onnx", loop(20_000));
    const node = { tier: "device", name: "camera", hardwareClass: "camera" } as const;
    const profile = await benchmarkModel({ path, node, inputs: [] }, options, deps);
    const seen = await readSentinel({ path, inputs: [], emulatedSlowdown: 1_000 }, options, deps);
    expect(seen.model).toEqual(profile.model);
    expect(seen.environment).toEqual({ ...profile.environment, emulatedSlowdown: 1_000 });
    // Far beyond any noise between the two.
    expect(seen.wholeMs).toBeGreaterThan(profile.wholeMs * 10);
  });
});
