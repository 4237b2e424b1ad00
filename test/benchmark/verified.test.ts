import { describe, expect, it } from "vitest";
import { benchmarkOptionsSchema } from "../../src/benchmark/index.js";
import { conditionsOf, knownOf, whyNotVerified } from "../../src/benchmark/verified.js";
import { aProfile } from "../support/profiles.js";

const OPTIONS = benchmarkOptionsSchema.parse({});
const REQUEST = { path: "net.onnx", inputs: [{ name: "x", shape: [1, 3] }] };
const PROFILE = aProfile({ verified: { at: 5, conditions: conditionsOf(REQUEST, OPTIONS)! } });

describe("whyNotVerified", () => {
  it("finds nothing where nothing changed", () => {
    expect(whyNotVerified(PROFILE, REQUEST, OPTIONS)).toBeUndefined();
    const slower = { ...OPTIONS, repeats: 50, cpuSharePercent: 3, targetPercent: 1 };
    expect(whyNotVerified(PROFILE, REQUEST, slower)).toBeUndefined();
  });

  it.each([
    ["another shape", { ...REQUEST, inputs: [{ name: "x", shape: [2, 3] }] }, {}],
    ["another value", { ...REQUEST, inputs: [{ name: "x", shape: [1, 3], value: 1 }] }, {}],
    ["input from a file", { ...REQUEST, inputFiles: [{ name: "x", path: "x.npy" }] }, {}],
    ["another slow-down", { ...REQUEST, emulatedSlowdown: 2 }, {}],
    ["maxCutTensors", REQUEST, { maxCutTensors: 2 }],
    ["cutInsideFusions", REQUEST, { cutInsideFusions: true }],
    ["blocksMax", REQUEST, { blocksMax: 7 }],
    ["another tolerance", REQUEST, { inference: { relativeTolerance: 1e-3 } }],
    ["other inputs", REQUEST, { inference: { inputSeed: 8 } }],
    ["another library path", REQUEST, { inference: { environment: { LD_LIBRARY_PATH: "/x" } } }],
  ])("says so for %s", (_, request, more) => {
    const options = benchmarkOptionsSchema.parse(more);
    expect(whyNotVerified(PROFILE, request, options)).toMatch(/changed/);
  });

  it("says so for a profile that was not equal, or does not tell", () => {
    const { equality } = PROFILE;
    const unequal = { ...PROFILE, equality: { ...equality, ok: false } };
    expect(whyNotVerified(unequal, REQUEST, OPTIONS)).toMatch(/not equal/);
    expect(whyNotVerified(aProfile(), REQUEST, OPTIONS)).toMatch(/changed/);
  });
});

describe("knownOf", () => {
  it("tells file, environment and cuts, without what is emulated", () => {
    const known = knownOf({ ...PROFILE, externalSha256: "e".repeat(64) });
    expect(known).toMatchObject({ sha256: "a".repeat(64), externalSha256: "e".repeat(64) });
    expect(known.environment).not.toHaveProperty("emulatedSlowdown");
    expect(known.layers).toBe(10);
    expect(known.cutPoints).toEqual([]);
    expect(known.outputs.map(({ name }) => name)).toEqual(["y"]);
  });
});
