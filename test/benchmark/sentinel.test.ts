import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  benchmarkModel,
  benchmarkOptionsSchema,
  judgeSentinel,
  readSentinel,
  refreshProfile,
  renewProfile,
  type SentinelReading,
} from "../../src/benchmark/index.js";
import type { Block } from "../../src/benchmark/blocks.js";
import { chooseSentinel, glanceAt } from "../../src/benchmark/sentinel-blocks.js";
import { silentLogger, systemClock } from "../../src/core/index.js";
import { profileSchema } from "../../src/protocol/index.js";
import { aProfile } from "../support/profiles.js";
import { heavyChain, loop, type ModelDirectory, modelDirectory } from "../support/small-models.js";

const LIMITS = { okPercent: 5, fullPercent: 25 };
const PROFILE = aProfile();

function reading(overrides: Partial<SentinelReading> = {}): SentinelReading {
  const { model, environment, wholeMs } = PROFILE;
  return {
    measuredAt: PROFILE.measuredAt + 1_000,
    model,
    externalSha256: undefined,
    environment,
    times: [{ beforeMs: wholeMs, nowMs: wholeMs }],
    stable: true,
    ...overrides,
  };
}

/** A reading of so many milliseconds, in place of the profile's 12. */
function whole(nowMs: number, overrides: Partial<SentinelReading> = {}): SentinelReading {
  return reading({ times: [{ beforeMs: 12, nowMs }], ...overrides });
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
    const judged = judgeSentinel(PROFILE, whole(wholeMs), LIMITS);
    expect(judged).toMatchObject({
      ...verdict,
      ...("factor" in verdict ? { factor: expect.closeTo(verdict.factor, 9) as number } : {}),
    });
  });

  it("does not scale by what it is not sure of", () => {
    const unsure = whole(13.2, { stable: false });
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
    const once = refreshProfile(PROFILE, whole(14), 14 / 12);
    const again = (nowMs: number) => reading({ times: [{ beforeMs: 14, nowMs }] });
    expect(judgeSentinel(once, again(16), LIMITS).kind).toBe("full");
    expect(judgeSentinel(once, again(12), LIMITS).kind).toBe("scale");
  });

  const times = (...nowMs: number[]) =>
    reading({ times: [1, 2, 3].map((beforeMs, index) => ({ beforeMs, nowMs: nowMs[index]! })) });

  it("weighs a few blocks by their time", () => {
    expect(judgeSentinel(PROFILE, times(1.02, 1.97, 3.1), LIMITS)).toEqual({ kind: "ok" });
    expect(judgeSentinel(PROFILE, times(1.1, 2.2, 3.3), LIMITS)).toEqual({
      kind: "scale",
      factor: expect.closeTo(1.1, 9) as number,
    });
    expect(judgeSentinel(PROFILE, times(2, 4, 6), LIMITS).kind).toBe("full");
  });

  it("does not take for a change of the node what concerns some blocks only", () => {
    expect(judgeSentinel(PROFILE, times(1.6, 2, 2.4), LIMITS).kind).toBe("full");
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

  const deps = { log: silentLogger, clock: systemClock };
  const node = { tier: "device", name: "camera", hardwareClass: "camera" } as const;

  it("times the whole of a small model, in the same words as the benchmark", async () => {
    const options = benchmarkOptionsSchema.parse({ repeatsMax: 5 });
    const path = models.write("loop.onnx", loop(20_000));
    const previous = await benchmarkModel({ path, node, inputs: [] }, options, deps);
    expect(previous.sentinel).toBeUndefined();
    const request = { path, inputs: [], previous, emulatedSlowdown: 1_000 };
    const seen = await readSentinel(request, options, deps);
    expect(seen.model).toEqual(previous.model);
    expect(seen.environment).toEqual({ ...previous.environment, emulatedSlowdown: 1_000 });
    expect(seen.times).toHaveLength(1);
    // Far beyond any noise between the two.
    expect(seen.times[0]!.nowMs).toBeGreaterThan(previous.wholeMs * 10);
    expect(judgeSentinel(previous, seen, LIMITS).kind).toBe("full");
  });

  it("times a few blocks of a large model, and sees a slower node", async () => {
    const options = benchmarkOptionsSchema.parse({ repeats: 2, repeatsMax: 2 });
    const path = models.write("heavy.onnx", heavyChain());
    const measured = await benchmarkModel({ path, node, inputs: [] }, options, deps);
    const { firstLayer, lastLayer } = measured.blocks[2]!;
    const measuredAlone = { firstLayer, lastLayer, medianMs: 0.000_001 };
    const previous = { ...measured, sentinel: { blocks: [measuredAlone] } };
    const seen = await readSentinel({ path, inputs: [], previous }, options, deps);
    expect(seen.times).toEqual([{ beforeMs: 0.000_001, nowMs: expect.any(Number) as number }]);
    expect(judgeSentinel(previous, seen, LIMITS).kind).toBe("full");
    // As long as it takes now, nothing has changed; the factor is exact, whatever the noise.
    const nowMs = seen.times[0]!.nowMs;
    const same = { ...seen, times: [{ beforeMs: nowMs, nowMs }], stable: true };
    expect(judgeSentinel(previous, same, LIMITS)).toEqual({ kind: "ok" });
  });

  it("times nothing of another file, and says so", async () => {
    const options = benchmarkOptionsSchema.parse({ repeats: 1, repeatsMax: 1 });
    const path = models.write("heavy.onnx", heavyChain());
    const previous = aProfile();
    const seen = await readSentinel({ path, inputs: [], previous }, options, deps);
    expect(seen.times).toEqual([]);
    expect(judgeSentinel(previous, seen, LIMITS).kind).toBe("full");
  });

  it("has what it was wrong about corrected, where the model takes what it took", async () => {
    // So wide that the whole always agrees with what it was.
    const options = benchmarkOptionsSchema.parse({ repeats: 2, repeatsMax: 2, targetPercent: 100 });
    const path = models.write("heavy.onnx", heavyChain());
    const first = await benchmarkModel({ path, node, inputs: [] }, options, deps);
    const { firstLayer, lastLayer } = first.blocks[2]!;
    const wrong = { firstLayer, lastLayer, medianMs: 0.000_001 };
    const previous = { ...first, sentinel: { blocks: [wrong] } };
    const request = { path, node, inputs: [], previous, sha256: first.model.sha256 };
    const renewed = await renewProfile({ ...request, mayLook: true }, options, deps);
    expect(renewed.outcome).toMatch(/^looked, and measured anew/);
    const [corrected] = renewed.profile.sentinel!.blocks;
    expect(corrected).toMatchObject({ firstLayer, lastLayer });
    expect(corrected!.medianMs).toBeGreaterThan(0.001);
  });

  it("is not asked where other options would cut the model elsewhere", async () => {
    const options = benchmarkOptionsSchema.parse({ repeats: 1, repeatsMax: 1 });
    const path = models.write("heavy.onnx", heavyChain());
    const previous = await benchmarkModel({ path, node, inputs: [] }, options, deps);
    const request = { path, node, inputs: [], previous, sha256: previous.model.sha256 };
    const others = { ...options, maxCutTensors: 2 };
    const renewed = await renewProfile({ ...request, mayLook: true }, others, deps);
    expect(renewed.outcome).toMatch(/measured anew: .*options of cutting/);
    expect(renewed.profile.verified!.conditions).not.toBe(previous.verified!.conditions);
    const same = await renewProfile({ ...request, mayLook: true }, options, deps);
    expect(same.outcome).toMatch(/^looked/);
  });
});

describe("chooseSentinel", () => {
  const float = { name: "t", dtype: "float32", shape: [1], bytes: 4 };
  const blocks = (dtypes: string[]): Block[] =>
    dtypes.map((dtype, index) => ({
      ...{ index, firstLayer: index, lastLayer: index },
      cutTensors: [{ ...float, dtype }],
    }));
  const six = blocks(["float32", "float32", "float32", "float32", "float32", "float32"]);
  const costs = (...timesMs: number[]) => timesMs.map((timeMs) => ({ timeMs, openMs: 1 }));

  it("takes of each half the longest block that is cheap enough", () => {
    const chosen = chooseSentinel(six, costs(4, 36, 40, 6, 5, 29));
    expect(chosen!.map(({ firstLayer }) => firstLayer)).toEqual([0, 3]);
  });

  it("takes none that is dear to open, or is fed what cannot be made up", () => {
    const dear = costs(4, 36, 40, 6, 5, 29);
    dear[0]!.openMs = 500;
    expect(chooseSentinel(six, dear)!.map(({ firstLayer }) => firstLayer)).toEqual([3]);
    const integers = blocks(["float32", "float32", "int64", "float32", "float32", "float32"]);
    const chosen = chooseSentinel(integers, costs(4, 36, 40, 6, 5, 29));
    expect(chosen!.map(({ firstLayer }) => firstLayer)).toEqual([0, 4]);
  });

  it("leaves small models and those of large blocks only to be looked at as a whole", () => {
    expect(chooseSentinel(six, costs(1, 1, 1, 1, 1, 1))).toBeUndefined();
    expect(chooseSentinel(six, costs(50, 50, 50, 50, 50, 50))).toBeUndefined();
  });
});

describe("glanceAt", () => {
  const options = benchmarkOptionsSchema.parse({});
  const ranges = [1, 5].map((firstLayer) => ({ firstLayer, lastLayer: firstLayer + 1 }));

  /** Two blocks that take so long, glance after glance, in the fastest of their runs. */
  function blocks(...glances: [number, number][]) {
    let calls = 0;
    return {
      measure: () => {
        const fastestMs = glances[calls >> 1]![calls % 2]!;
        calls += 1;
        const samplesMs = [fastestMs * 1.6, fastestMs, fastestMs * 1.1];
        return Promise.resolve({ samplesMs, stable: false, slowed: false, openMs: 1, outputs: [] });
      },
      get glances() {
        return calls / 2;
      },
    };
  }
  const pauses: number[] = [];
  const clock = {
    sleep(ms: number) {
      pauses.push(ms);
      return Promise.resolve();
    },
  };
  const { signal } = new AbortController();
  const look = (worker: ReturnType<typeof blocks>, expectedMs: number | undefined) =>
    glanceAt(worker, ranges, { options, clock, signal, expectedMs, tolerancePercent: 5 });

  it("believes a glance that shows what was expected", async () => {
    const worker = blocks([10, 20.5]);
    expect(await look(worker, 30)).toEqual({ timesMs: [10, 20.5], stable: true });
    expect(worker.glances).toBe(1);
  });

  it("looks again where it does not, and takes what it finds then", async () => {
    const worker = blocks([15, 20], [10, 20]);
    pauses.length = 0;
    expect(await look(worker, 30)).toEqual({ timesMs: [10, 20], stable: true });
    // Moments that follow each other closely are alike.
    expect(pauses).toEqual([500]);
  });

  it.each([[[13, 26]], [[7, 14]]] as [number, number][][])(
    "believes what three glances find, slower or faster: %j",
    async (found) => {
      const worker = blocks(found, found, found);
      expect(await look(worker, 30)).toEqual({ timesMs: found, stable: true });
    },
  );

  it("takes the median where there is nothing to compare with, and says when it is not sure", async () => {
    const once = blocks([10, 21], [10, 20], [18, 20]);
    expect(await look(once, undefined)).toEqual({ timesMs: [10, 20], stable: true });
    const restless = blocks([10, 20], [14, 28], [20, 40]);
    expect(await look(restless, undefined)).toEqual({ timesMs: [14, 28], stable: false });
  });
});
