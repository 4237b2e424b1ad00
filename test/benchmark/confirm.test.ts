import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  answerMeasure,
  benchmarkModel,
  benchmarkOptionsSchema,
  inspectModel,
  measureRanges,
} from "../../src/benchmark/index.js";
import { AppError, type Clock, silentLogger, systemClock } from "../../src/core/index.js";
import { describeWithData } from "../support/data.js";
import { realModels } from "../support/manifest.js";
import { chain, heavyChain, type ModelDirectory, modelDirectory } from "../support/small-models.js";

const OPTIONS = benchmarkOptionsSchema.parse({ repeats: 1, repeatsMax: 1 });
const NODE = { tier: "edge", name: "here", hardwareClass: "here" } as const;
const REST_MS_MAX = 1_000;

/** Rests between rounds are over at once, and told to `onRest`. */
function hurriedClock(onRest: (restMs: number) => void = () => undefined): Clock {
  let restedMs = 0;
  return {
    ...systemClock,
    monotonicMs: () => systemClock.monotonicMs() + restedMs,
    sleep(delayMs, signal) {
      if (delayMs > REST_MS_MAX) return systemClock.sleep(delayMs, signal);
      restedMs += delayMs;
      onRest(delayMs);
      return Promise.resolve();
    },
  };
}

const DEPS = { log: silentLogger, clock: hurriedClock() };

describe("measureRanges", () => {
  let models: ModelDirectory;
  beforeAll(() => {
    models = modelDirectory();
  });
  afterAll(() => models.remove());

  it("measures ranges in any order, slowed down as the node is", async () => {
    const path = models.write("chain.onnx", chain());
    const { layers } = await inspectModel({ path, inputs: [] }, OPTIONS, DEPS);
    const last = layers - 1;
    const ranges = [
      { firstLayer: last, lastLayer: last },
      { firstLayer: 0, lastLayer: 0 },
      { firstLayer: 0, lastLayer: last },
    ];
    const request = { path, inputs: [], ranges, emulatedSlowdown: 3 };
    const measured = await measureRanges(request, OPTIONS, DEPS);
    expect(measured.ranges).toMatchObject(ranges);
    expect(measured.environment.emulatedSlowdown).toBe(3);
    for (const { medianMs } of measured.ranges) expect(medianMs).toBeGreaterThan(0);
  });

  it("tells times for the speed at which the whole takes what its profile says", async () => {
    const path = models.write("heavy.onnx", heavyChain());
    const { wholeMs } = await benchmarkModel({ path, inputs: [], node: NODE }, OPTIONS, DEPS);
    const ranges = [{ firstLayer: 0, lastLayer: 0 }];
    const toldAt = async (factor: number) => {
      const request = { path, inputs: [], ranges, wholeMs: wholeMs * factor };
      const measured = await measureRanges(request, OPTIONS, DEPS);
      return { toldMs: measured.ranges[0]!.medianMs, nowMs: measured.wholeMs! };
    };
    const [slow, fast, other] = [await toldAt(1.4), await toldAt(0.7), await toldAt(20)];
    // The very same share of the whole, however fast the machine was at the moment.
    expect(slow.toldMs).toBeGreaterThan(1.4 * fast.toldMs);
    // Of another machine the profile tells nothing.
    expect(other.toldMs).toBeLessThan(2 * other.nowMs);
  });

  it("tells times of an emulated node for the speed that its profile emulates", async () => {
    const path = models.write("emulated.onnx", heavyChain());
    const slow = { emulatedSlowdown: 4 };
    const { wholeMs } = await benchmarkModel(
      { path, inputs: [], node: NODE, ...slow },
      OPTIONS,
      DEPS,
    );
    const ranges = [0, 1].map((layer) => ({ firstLayer: layer, lastLayer: layer }));
    const measured = await measureRanges(
      { path, inputs: [], ranges, wholeMs, ...slow },
      OPTIONS,
      DEPS,
    );
    const allMs = measured.ranges.reduce((sum, { medianMs }) => sum + medianMs, 0);
    expect(allMs).toBeGreaterThan(wholeMs / 2);
    expect(allMs).toBeLessThan(wholeMs * 2);
  });

  it("measures in turns that are spread, until they agree or time is up", async () => {
    const path = models.write("spread.onnx", heavyChain());
    const ranges = [0, 1].map((layer) => ({ firstLayer: layer, lastLayer: layer }));
    let turns = 0;
    const beforeStep = (): Promise<void> => {
      turns += 1;
      return Promise.resolve();
    };
    const rests: number[] = [];
    const clock = hurriedClock((restMs) => rests.push(restMs));
    const never = { ...OPTIONS, targetPercent: 0 };
    const startedAtMs = clock.monotonicMs();
    await measureRanges({ path, inputs: [], ranges }, never, { ...DEPS, clock, beforeStep });
    expect(clock.monotonicMs() - startedAtMs).toBeGreaterThanOrEqual(4_000);
    expect(turns).toBeGreaterThanOrEqual(6);
    expect(turns).toBeLessThanOrEqual(16);
    const always = { ...OPTIONS, targetPercent: 100 };
    turns = 0;
    await measureRanges({ path, inputs: [], ranges }, always, { ...DEPS, clock, beforeStep });
    // One more than count.
    expect(turns).toBe(6);
    expect(rests.length).toBeGreaterThan(0);
  });

  it("makes fewer turns of ranges for which the time limit has no room for more", async () => {
    const path = models.write("slow.onnx", heavyChain());
    const ranges = [0, 1].map((layer) => ({ firstLayer: layer, lastLayer: layer }));
    const turnMs = 16_000;
    let turns = 0;
    const clock = { ...hurriedClock(), monotonicMs: () => turns * turnMs };
    const beforeStep = (): Promise<void> => {
      turns += 1;
      return Promise.resolve();
    };
    const deps = { ...DEPS, clock, beforeStep };
    const timeoutMs = 60_000;
    const measured = await measureRanges(
      { path, inputs: [], ranges },
      { ...OPTIONS, timeoutMs },
      deps,
    );
    expect(turns * turnMs).toBeLessThanOrEqual(timeoutMs / 2);
    for (const { medianMs } of measured.ranges) expect(medianMs).toBeGreaterThan(0);
  });

  it("awaits its turn before each time", async () => {
    const path = models.write("paced.onnx", chain());
    const ranges = [0, 1, 2].map((layer) => ({ firstLayer: layer, lastLayer: layer }));
    let turns = 0;
    const beforeStep = (): Promise<void> => {
      turns += 1;
      return turns < 3 ? Promise.resolve() : Promise.reject(new AppError("ABORTED", "no more"));
    };
    const paced = measureRanges({ path, inputs: [], ranges }, OPTIONS, { ...DEPS, beforeStep });
    await expect(paced).rejects.toMatchObject({ code: "ABORTED" });
    expect(turns).toBe(3);
  });

  it("answers why layers cannot be measured", async () => {
    const path = models.write("other.onnx", chain());
    const ranges = [{ firstLayer: 700, lastLayer: 701 }];
    const answer = await answerMeasure({ path, inputs: [], ranges }, OPTIONS, DEPS);
    expect(answer).toMatchObject({
      kind: "failed",
      reason: expect.stringContaining("700") as string,
    });
  });
});

describeWithData("measureRanges of real models", (directory) => {
  it.each(["light_squeezenet", "bert_mrpc_tf", "byte_bidi_lstm", "conv_qdq_external"])(
    "%s: the part behind its middle cut runs, though no cuts were looked for",
    async (name) => {
      const model = realModels(directory).find((one) => one.name === name)!;
      const path = join(directory, "models", model.file);
      const inputs = Object.entries(model.usedShapes ?? {}).map(([input, shape]) => {
        const value = model.fill?.[input];
        return value === undefined ? { name: input, shape } : { name: input, shape, value };
      });
      const { cutPoints, layers } = await inspectModel({ path, inputs }, OPTIONS, DEPS);
      const middle = cutPoints[cutPoints.length >> 1]!.afterLayer;
      const ranges = [{ firstLayer: middle + 1, lastLayer: layers - 1 }];
      const measured = await measureRanges({ path, inputs, ranges }, OPTIONS, DEPS);
      expect(measured.ranges[0]?.medianMs).toBeGreaterThan(0);
    },
    60_000,
  );
});
