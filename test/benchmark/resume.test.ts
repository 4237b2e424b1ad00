import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type BenchmarkDeps,
  type BenchmarkOptions,
  benchmarkModel,
  benchmarkOptionsSchema,
  type Checkpoint,
  type Progress,
} from "../../src/benchmark/index.js";
import { AppError, silentLogger, systemClock } from "../../src/core/index.js";
import type { Profile } from "../../src/protocol/index.js";
import { heavyChain, type ModelDirectory, modelDirectory } from "../support/small-models.js";

const NODE = { tier: "device", name: "camera", hardwareClass: "camera" } as const;
const OPTIONS = benchmarkOptionsSchema.parse({ repeats: 2, repeatsMax: 2 });

let models: ModelDirectory;
beforeAll(() => {
  models = modelDirectory();
});
afterAll(() => models.remove());

/** Keeps what was saved as a file would: as text. */
function memory(): Checkpoint & { text: string | undefined } {
  return {
    text: undefined,
    load() {
      return Promise.resolve(this.text === undefined ? undefined : JSON.parse(this.text));
    },
    save(value) {
      this.text = JSON.stringify(value);
      return Promise.resolve();
    },
  };
}

interface Run {
  /** How many steps were begun. */
  steps: number;
  outcome: Profile | string;
}

/** A benchmark that is given up before step `stopBefore`. */
async function run(
  given: { checkpoint: Checkpoint; stopBefore?: number; options?: BenchmarkOptions },
  more: Partial<BenchmarkDeps> = {},
): Promise<Run> {
  const controller = new AbortController();
  let steps = 0;
  const path = models.write("chain.onnx", heavyChain());
  const work = benchmarkModel({ path, node: NODE, inputs: [] }, given.options ?? OPTIONS, {
    log: silentLogger,
    clock: systemClock,
    signal: controller.signal,
    checkpoint: given.checkpoint,
    beforeStep: () => {
      if (steps === given.stopBefore) controller.abort();
      else steps += 1;
      return Promise.resolve();
    },
    ...more,
  });
  const outcome = await work.catch((error: unknown) =>
    error instanceof AppError ? error.code : String(error),
  );
  return { steps, outcome };
}

describe("a benchmark that is stopped", () => {
  let allSteps: number;
  beforeAll(async () => {
    const all = await run({ checkpoint: memory() });
    expect(all.outcome).toMatchObject({ equality: { ok: true } });
    allSteps = all.steps;
  });

  it.each([1, 2, -1])("goes on where it was: before step %d", async (step) => {
    const stopBefore = step < 0 ? allSteps + step : step;
    const checkpoint = memory();
    const first = await run({ checkpoint, stopBefore });
    expect(first).toEqual({ steps: stopBefore, outcome: "ABORTED" });
    const second = await run({ checkpoint });
    expect(second.steps).toBe(allSteps - stopBefore);
    expect(second.outcome).toMatchObject({ equality: { ok: true, maxAbsoluteError: 0 } });
  });

  it("keeps the very times it had measured", async () => {
    const checkpoint = memory();
    await run({ checkpoint, stopBefore: 4 });
    const saved = JSON.parse(checkpoint.text!) as { steps: { name: string; result: object }[] };
    const whole = saved.steps.find(({ name }) => name === "whole at other moments")!;
    const { outcome } = await run({ checkpoint });
    expect(whole.result).toMatchObject({ medianMs: (outcome as Profile).wholeMs });
  });

  it("leaves nothing to resume when it is done", async () => {
    const checkpoint = memory();
    await run({ checkpoint });
    expect(checkpoint.text).toBe("null");
    expect((await run({ checkpoint })).steps).toBe(allSteps);
  });

  it.each([
    ["of other options", { options: { ...OPTIONS, targetPercent: 1 } }],
    [
      "of another environment",
      { options: { ...OPTIONS, inference: { ...OPTIONS.inference, threads: 2 } } },
    ],
  ])("begins anew with a checkpoint %s", async (_, changed) => {
    const checkpoint = memory();
    await run({ checkpoint, stopBefore: 2 });
    expect((await run({ checkpoint, ...changed })).steps).toBe(allSteps);
  });

  it("begins anew with a checkpoint of more than a day ago, or of the future", async () => {
    for (const days of [1.1, -1.1]) {
      const checkpoint = memory();
      await run({ checkpoint, stopBefore: 2 });
      const clock = { ...systemClock, nowMs: () => Date.now() + days * 86_400_000 };
      expect((await run({ checkpoint }, { clock })).steps).toBe(allSteps);
    }
  });

  it.each(["", "7", '{"version":1}', '{"version":1,"subject":"x","startedAt":0,"steps":[]}'])(
    "begins anew with the checkpoint %j",
    async (text) => {
      const checkpoint = { ...memory(), text };
      expect((await run({ checkpoint })).steps).toBe(allSteps);
    },
  );

  it("does without a checkpoint that can be neither read nor written", async () => {
    const broken: Checkpoint = {
      load: () => Promise.reject(new Error("no disk")),
      save: () => Promise.reject(new Error("no space")),
    };
    expect((await run({ checkpoint: broken })).outcome).toMatchObject({ equality: { ok: true } });
  });

  it("gives up when the place to pause does", async () => {
    const beforeStep = (): Promise<void> => Promise.reject(new AppError("ABORTED", "no budget"));
    expect((await run({ checkpoint: memory() }, { beforeStep })).outcome).toBe("ABORTED");
  });

  it("tells its progress as a share that only grows and ends at 1", async () => {
    const shares: number[] = [];
    const onProgress = ({ done, total }: Progress): void => void shares.push(done / total);
    const checkpoint = memory();
    await run({ checkpoint, stopBefore: 2 }, { onProgress });
    expect(shares.at(-1)).toBeGreaterThan(0);
    expect(shares.at(-1)).toBeLessThan(1);
    shares.length = 0;
    await run({ checkpoint }, { onProgress });
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
  });
});
