import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type BenchmarkDeps,
  benchmarkModel,
  benchmarkOptionsSchema,
  extractPartition,
  inspectModel,
  type Progress,
} from "../../src/benchmark/index.js";
import { AppError, silentLogger, systemClock } from "../../src/core/index.js";
import { inspectionSchema, profileSchema } from "../../src/protocol/index.js";
import { floats } from "../support/onnx-builder.js";
import { ManualClock } from "../support/manual-clock.js";
import { until } from "../support/poll.js";
import {
  batched,
  chain,
  loop,
  type ModelDirectory,
  modelDirectory,
} from "../support/small-models.js";

const NODE = { tier: "device", name: "camera", hardwareClass: "camera" } as const;
const OPTIONS = benchmarkOptionsSchema.parse({ repeats: 3, repeatsMax: 3 });

let models: ModelDirectory;
beforeAll(() => {
  models = modelDirectory();
});
afterAll(() => models.remove());

function deps(more: Partial<BenchmarkDeps> = {}): BenchmarkDeps {
  return { log: silentLogger, clock: systemClock, ...more };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => "it succeeded",
    (reason: unknown) => reason,
  );
  return error instanceof AppError ? error.code : String(error);
}

describe("benchmarkModel", () => {
  it("gives a valid profile of consecutive blocks that compute what the model computes", async () => {
    const path = models.write("chain.onnx", chain());
    const profile = await benchmarkModel({ path, node: NODE, inputs: [] }, OPTIONS, deps());
    expect(profileSchema.parse(profile)).toEqual(profile);
    const sha256 = createHash("sha256").update(readFileSync(path)).digest("hex");
    expect(profile.model).toEqual({ name: "chain", sha256 });
    expect(profile.node).toEqual(NODE);
    expect(profile.inputBytes).toBe(16);
    expect(profile.equality).toEqual({ maxAbsoluteError: 0, maxRelativeError: 0, ok: true });
    expect(
      profile.blocks.map(({ firstLayer, lastLayer, repeats, outputBytes, cutTensors }) => [
        [firstLayer, lastLayer, repeats, outputBytes],
        cutTensors.map((tensor) => tensor.name),
      ]),
    ).toEqual([
      [[0, 0, 3, 16], ["a"]],
      [[1, 1, 3, 16], ["b"]],
      [[2, 2, 3, 16], ["y"]],
    ]);
  });

  it("calibrates the blocks to sum to the whole, and keeps what was measured", async () => {
    const path = models.write("chain.onnx", chain());
    const profile = await benchmarkModel({ path, node: NODE, inputs: [] }, OPTIONS, deps());
    const total = profile.blocks.reduce((sum, block) => sum + block.medianMs, 0);
    expect(total).toBeCloseTo(profile.wholeMs, 9);
    const rawTotal = profile.blocks.reduce((sum, block) => sum + block.rawMedianMs!, 0);
    expect(profile.calibration!.rawSumMs).toBeCloseTo(rawTotal, 9);
    expect(profile.calibration!.residualPercent).not.toBeNull();
    expect(profile.whole?.repeats).toBeGreaterThanOrEqual(3);
    for (const block of profile.blocks) {
      expect(block.p95Ms).toBeGreaterThanOrEqual(block.rawMedianMs!);
    }
  });

  it("keeps within the limit of blocks, and says what it left out", async () => {
    const notes: string[] = [];
    const path = models.write("chain.onnx", chain());
    const profile = await benchmarkModel(
      { path, node: NODE, inputs: [] },
      { ...OPTIONS, blocksMax: 2 },
      deps({ onNote: (note) => notes.push(note) }),
    );
    expect(profile.blocks).toHaveLength(2);
    expect(profile.equality.ok).toBe(true);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain("blocksMax");
  });

  it("multiplies every time by the emulated slow-down and records it", async () => {
    const request = { path: models.write("slow.onnx", loop(20_000)), node: NODE, inputs: [] };
    const honest = await benchmarkModel(request, OPTIONS, deps());
    const slowed = await benchmarkModel({ ...request, emulatedSlowdown: 1e6 }, OPTIONS, deps());
    expect(honest.environment.emulatedSlowdown).toBe(1);
    expect(slowed.environment.emulatedSlowdown).toBe(1e6);
    // Far beyond any noise between the two runs.
    expect(slowed.wholeMs).toBeGreaterThan(honest.wholeMs * 1e3);
    expect(slowed.blocks[0]!.medianMs).toBeGreaterThan(honest.blocks[0]!.medianMs * 1e3);
  });

  it("reports progress up to the end", async () => {
    const steps: Progress[] = [];
    const path = models.write("batched.onnx", batched());
    await benchmarkModel(
      { path, modelName: "mine", node: NODE, inputs: [{ name: "x", shape: [2, 4] }] },
      OPTIONS,
      deps({ onProgress: (step) => steps.push(step) }),
    );
    const shares = steps.map(({ done, total }) => done / total);
    expect(shares[0]).toBe(0);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
  });

  it("refuses a model that yields NaN, for NaN equals NaN in every split", async () => {
    const path = models.write("nan.onnx", {
      ...chain(),
      initializers: [floats("w", Array<number>(16).fill(NaN), [4, 4])],
    });
    const work = benchmarkModel({ path, node: NODE, inputs: [] }, OPTIONS, deps());
    expect(await codeOf(work)).toBe("MODEL_NOT_A_NUMBER");
  });

  it.each(["written anew", "removed"])(
    "refuses a model whose file is %s meanwhile",
    async (how) => {
      const path = models.write("changing.onnx", chain());
      let steps = 0;
      const beforeStep = (): Promise<void> => {
        steps += 1;
        if (steps === 2 && how === "removed") rmSync(path);
        else if (steps === 2) models.write("changing.onnx", chain({ a: "other" }));
        return Promise.resolve();
      };
      const work = benchmarkModel({ path, node: NODE, inputs: [] }, OPTIONS, deps({ beforeStep }));
      expect(await codeOf(work)).toBe("MODEL_CHANGED");
    },
  );

  it("ends at its time limit, whatever the step", async () => {
    const clock = new ManualClock();
    const work = benchmarkModel(
      { path: models.write("hang.onnx", loop(2 ** 52)), node: NODE, inputs: [] },
      benchmarkOptionsSchema.parse({ timeoutMs: 5_000 }),
      deps({ clock }),
    );
    work.catch(() => undefined);
    await until(() => clock.sleeping > 0);
    clock.advance(5_000);
    expect(await codeOf(work)).toBe("INFERENCE_TIMEOUT");
    expect(clock.sleeping).toBe(0);
  });

  it("ends when it is aborted", async () => {
    const controller = new AbortController();
    const work = benchmarkModel(
      { path: models.write("hang.onnx", loop(2 ** 52)), node: NODE, inputs: [] },
      OPTIONS,
      deps({ signal: controller.signal }),
    );
    work.catch(() => undefined);
    controller.abort();
    expect(await codeOf(work)).toBe("ABORTED");
  });
});

describe("inspectModel", () => {
  it("gives a valid inspection without timing anything", async () => {
    const path = models.write("chain.onnx", chain());
    const inspection = await inspectModel({ path, inputs: [] }, OPTIONS, deps());
    expect(inspectionSchema.parse(inspection)).toEqual(inspection);
    expect(inspection.cutPoints.map((cut) => cut.tensors[0]?.name)).toEqual(["a", "b"]);
  });
});

describe("extractPartition", () => {
  it("writes a model that computes its part, known by its SHA-256", async () => {
    const path = models.write("chain.onnx", chain());
    const destination = models.path("part.onnx");
    const part = await extractPartition(
      { path, inputs: [], firstLayer: 1, lastLayer: 2, destination },
      OPTIONS,
      deps(),
    );
    const bytes = readFileSync(destination);
    expect(part.bytes).toBe(bytes.byteLength);
    expect(part.sha256).toBe(createHash("sha256").update(bytes).digest("hex"));
    expect(part.inputs.map((tensor) => tensor.name)).toEqual(["a"]);
    expect(part.outputs.map((tensor) => tensor.name)).toEqual(["y"]);
    const inspection = await inspectModel({ path: destination, inputs: [] }, OPTIONS, deps());
    expect(inspection.layers).toBe(2);
  });

  it("fails where it cannot write", async () => {
    const path = models.write("chain.onnx", chain());
    const destination = models.path("missing/part.onnx");
    const request = { path, inputs: [], firstLayer: 0, lastLayer: 1, destination };
    expect(await codeOf(extractPartition(request, OPTIONS, deps()))).toBe("STORE_WRITE_FAILED");
  });
});
