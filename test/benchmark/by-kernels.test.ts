import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  benchmarkModel,
  benchmarkOptionsSchema,
  type Progress,
} from "../../src/benchmark/index.js";
import { silentLogger, systemClock } from "../../src/core/index.js";
import { type Profile, profileSchema } from "../../src/protocol/index.js";
import { chain, heavyChain, type ModelDirectory, modelDirectory } from "../support/small-models.js";

const NODE = { tier: "device", name: "camera", hardwareClass: "camera" } as const;
const OPTIONS = benchmarkOptionsSchema.parse({ repeats: 2, repeatsMax: 2 });

let models: ModelDirectory;
beforeAll(() => {
  models = modelDirectory();
});
afterAll(() => models.remove());

/** A profile, and how many kinds of steps it took: what is timed again is one. */
async function measure(
  path: string,
  more: { previous?: Profile; options?: typeof OPTIONS; emulatedSlowdown?: number } = {},
): Promise<{ profile: Profile; steps: number }> {
  const { options = OPTIONS, ...request } = more;
  const steps = new Set<string>();
  const onProgress = ({ what }: Progress): void => void steps.add(what);
  const deps = { log: silentLogger, clock: systemClock, onProgress };
  const profile = await benchmarkModel({ path, node: NODE, inputs: [], ...request }, options, deps);
  return { profile, steps: steps.size };
}

describe("a benchmark by kernels", () => {
  it("shares the whole's time out to blocks that compute what the model computes", async () => {
    const { profile } = await measure(models.write("heavy.onnx", heavyChain()));
    expect(profileSchema.parse(profile)).toEqual(profile);
    expect(profile.calibration!.method).toBe("kernels");
    expect(profile.blocks).toHaveLength(4);
    const total = profile.blocks.reduce((sum, block) => sum + block.medianMs, 0);
    expect(total).toBeCloseTo(profile.wholeMs, 9);
    const rawTotal = profile.blocks.reduce((sum, block) => sum + block.rawMedianMs!, 0);
    expect(profile.calibration!.rawSumMs).toBeCloseTo(rawTotal, 9);
    expect(profile.calibration!.residualPercent).not.toBeNull();
    expect(profile.equality.ok).toBe(true);
    for (const block of profile.blocks) expect(block.rawMedianMs).toBeGreaterThan(0);
  });

  it("does not check again what an earlier profile of the same split tells", async () => {
    const path = models.write("heavy.onnx", heavyChain());
    const first = await measure(path);
    const previous = {
      ...first.profile,
      equality: { ...first.profile.equality, maxAbsoluteError: 7 },
    };
    const second = await measure(path, { previous });
    // Between opening and end only the whole, at another moment where it differs.
    expect(second.steps).toBeLessThanOrEqual(4);
    expect(second.profile.equality).toEqual(previous.equality);
    expect(second.profile.verified).toEqual(previous.verified);
    expect(second.profile.kernelOrder).toEqual(previous.kernelOrder);
    expect(second.profile.kernelOrder!.blocks.length).toBeGreaterThan(1);
    expect(second.profile.calibration!.residualPercent).toBe(
      first.profile.calibration!.residualPercent,
    );
    expect(first.steps).toBeGreaterThan(5);
  });

  it("checks again where the file, the environment or the split is not the same", async () => {
    const path = models.write("heavy.onnx", heavyChain());
    const { profile, steps } = await measure(path);
    const { environment, verified } = profile;
    expect(verified!.at).toBeLessThanOrEqual(profile.measuredAt);
    const others: Partial<Profile>[] = [
      { environment: { ...environment, onnxruntimeVersion: "0.1.0" } },
      { blocks: profile.blocks.slice(0, -1) },
    ];
    for (const other of others) {
      const again = await measure(path, { previous: { ...profile, ...other } });
      expect(again.steps).toBe(steps);
      expect(again.profile.verified!.at).toBeGreaterThan(verified!.at);
    }
  });

  it.each([
    ["the model is too fast for the profiler", () => models.write("chain.onnx", chain()), OPTIONS],
    [
      "cuts go through fusions",
      () => models.write("heavy.onnx", heavyChain()),
      { ...OPTIONS, cutInsideFusions: true },
    ],
  ])("times every block on its own where %s", async (_, path, options) => {
    const { profile } = await measure(path(), { options });
    expect(profile.calibration!.method).toBe("blocks");
    for (const block of profile.blocks) expect(block.p95Ms).toBeDefined();
    expect(profile.equality.ok).toBe(true);
  });
});
