import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { AppError, silentLogger, systemClock } from "../../src/core/index.js";
import {
  type InferenceOptions,
  inferenceOptionsSchema,
  type ModelWorker,
  probeProviders,
  startModelWorker,
} from "../../src/inference/index.js";
import type { InputBinding } from "../../src/protocol/index.js";
import { until } from "../support/poll.js";
import {
  batched,
  chain,
  dice,
  glutton,
  loop,
  type ModelDirectory,
  modelDirectory,
  reshaped,
  unbound,
  zeroAdded,
} from "../support/small-models.js";

const FOR_EVER = 2 ** 52;
const ONCE = { warmups: 0, repeats: 1, budgetMs: 10_000 };

let models: ModelDirectory;
/** Where children of this file, and of no other, have their temporary directories. */
let temporary: string;
beforeAll(() => {
  models = modelDirectory();
  temporary = mkdtempSync(join(tmpdir(), "scissiond-test-"));
  process.env["TMPDIR"] = temporary;
});
afterAll(() => {
  models.remove();
  rmSync(temporary, { recursive: true });
});

const running: ModelWorker[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((worker) => worker.stop()));
});

async function start(
  options: Partial<InferenceOptions> = {},
  signal?: AbortSignal,
): Promise<ModelWorker> {
  const worker = await startModelWorker(inferenceOptionsSchema.parse(options), {
    log: silentLogger,
    clock: systemClock,
    signal,
  });
  running.push(worker);
  return worker;
}

function open(
  worker: ModelWorker,
  path: string,
  inputs: InputBinding[] = [],
): ReturnType<ModelWorker["open"]> {
  return worker.open({ path, inputs, maxCutTensors: 1 });
}

async function failure(work: Promise<unknown>): Promise<AppError> {
  const error: unknown = await work.then(
    () => "it succeeded",
    (reason: unknown) => reason,
  );
  if (error instanceof AppError) return error;
  throw new Error(`no AppError: ${String(error)}`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Processor time of a process so far, in ticks of 10 ms. */
function processorTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return Number(fields[11]);
}

/** Opens a model that never ends, and waits until its run is what keeps the processor busy. */
async function hang(worker: ModelWorker): Promise<{ work: Promise<unknown> }> {
  const LOADING_TICKS = 30;
  const before = processorTicks(worker.pid);
  const work = open(worker, models.write("hang.onnx", loop(FOR_EVER)));
  work.catch(() => undefined);
  await until(() => processorTicks(worker.pid) > before + LOADING_TICKS, { what: "the run" });
  return { work };
}

describe("execution providers", () => {
  it("are probed one by one, and each that does not compute says why", async () => {
    const options = inferenceOptionsSchema.parse({ executionProviders: ["cpu", "nonsense"] });
    const states = await probeProviders(options, { log: silentLogger, clock: systemClock });
    expect(states[0]).toEqual({ name: "cpu", available: true });
    expect(states[1]).toMatchObject({ name: "nonsense", available: false });
    expect(states[1]!.reason).toContain("cpu");
  });

  it.each([["nonsense"], ["dml"]])("%s is refused, not replaced by the CPU", async (name) => {
    const worker = await start({ executionProviders: [name, "cpu"] });
    const error = await failure(open(worker, models.write("chain.onnx", chain())));
    expect(error.code).toBe("INFERENCE_PROVIDER");
    expect(error.message).toContain(name);
  });
});

describe("a model's child process: how it ends", () => {
  it("names the signal when it is killed in mid-run, and is gone", async () => {
    const worker = await start();
    expect(readdirSync(temporary)).toHaveLength(1);
    const { work } = await hang(worker);
    process.kill(worker.pid, "SIGKILL");
    const error = await failure(work);
    expect(error.code).toBe("INFERENCE_CRASHED");
    expect(error.message).toContain("SIGKILL");
    expect(readdirSync(temporary)).toEqual([]);
    expect((await failure(open(worker, "any"))).code).toBe("INFERENCE_CRASHED");
  });

  it("is killed at its deadline", async () => {
    const worker = await start({ requestTimeoutMs: 400 });
    const error = await failure(open(worker, models.write("hang.onnx", loop(FOR_EVER))));
    expect(error.code).toBe("INFERENCE_TIMEOUT");
    expect(error.message).toContain("0.4 s");
    expect(isAlive(worker.pid)).toBe(false);
  });

  it("is killed when it passes its memory limit", async () => {
    const worker = await start({ memoryLimitMiB: 300, memoryPollMs: 10 });
    const error = await failure(open(worker, models.write("glutton.onnx", glutton(8))));
    expect(error.code).toBe("INFERENCE_MEMORY");
    expect(error.message).toContain("limit of 300 MiB");
    expect(isAlive(worker.pid)).toBe(false);
  });

  it("is killed when the work is aborted, or before it starts", async () => {
    const controller = new AbortController();
    const worker = await start({}, controller.signal);
    const { work } = await hang(worker);
    controller.abort();
    expect((await failure(work)).code).toBe("ABORTED");
    expect(isAlive(worker.pid)).toBe(false);
    expect((await failure(start({}, controller.signal))).code).toBe("ABORTED");
  });

  it("stops in mid-run, twice", async () => {
    const worker = await start();
    const { work } = await hang(worker);
    await Promise.all([worker.stop(), worker.stop()]);
    expect(isAlive(worker.pid)).toBe(false);
    expect((await failure(work)).code).toBe("ABORTED");
  });

  it("fails to start within a time that is too short", async () => {
    const error = await failure(
      startModelWorker(
        { ...inferenceOptionsSchema.parse({}), startTimeoutMs: 1 },
        { log: silentLogger, clock: systemClock },
      ),
    );
    expect(error.code).toBe("INFERENCE_TIMEOUT");
    expect(readdirSync(temporary)).toEqual([]);
  });
});

describe("a model's child process: what it answers", () => {
  it("finds types, shapes and bytes of inputs, outputs and cut tensors by running", async () => {
    const opened = await open(await start(), models.write("chain.onnx", chain()));
    const tensor = (name: string): object => ({
      name,
      dtype: "float32",
      shape: [1, 4],
      bytes: 16,
    });
    expect(opened).toMatchObject({
      model: { name: "chain", sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
      layers: 3,
      inputs: [tensor("x")],
      outputs: [tensor("y")],
      cutPoints: [
        { index: 0, afterLayer: 0, tensors: [tensor("a")], fused: false },
        { index: 1, afterLayer: 1, tensors: [tensor("b")], fused: false },
      ],
      environment: { threads: 1, provider: "cpu", onnxruntimeVersion: "1.30.0" },
      notes: [],
    });
  });

  it("chains ranges to what the whole model computes, in order or not", async () => {
    const worker = await start();
    await open(worker, models.write("chain.onnx", chain()));
    const whole = await worker.measure({ kind: "whole" }, { ...ONCE, warmups: 1, repeats: 3 });
    expect(whole.samplesMs).toHaveLength(3);
    expect(whole.outputs.map((output) => output.name)).toEqual(["y"]);
    for (const layer of [0, 1, 2]) {
      await worker.measure({ kind: "range", firstLayer: layer, lastLayer: layer }, ONCE);
    }
    expect(await worker.compare()).toEqual({
      maxAbsoluteError: 0,
      maxRelativeError: 0,
      ok: true,
    });
    const alone = await worker.measure({ kind: "range", firstLayer: 1, lastLayer: 2 }, ONCE);
    expect(alone.outputs.map((output) => output.name)).toEqual(["y"]);
    expect((await worker.compare()).ok).toBe(true);
  });

  it("starts no further repeat once the budget is spent, but takes one sample", async () => {
    const worker = await start();
    await open(worker, models.write("chain.onnx", chain()));
    const repeat = { warmups: 1_000_000, repeats: 1_000_000, budgetMs: 50 };
    const { samplesMs } = await worker.measure({ kind: "whole" }, repeat);
    expect(samplesMs.length).toBeGreaterThanOrEqual(1);
    expect(samplesMs.length).toBeLessThan(1_000_000);
  });

  it("will not compare a chain that was not run to its end", async () => {
    const worker = await start();
    await open(worker, models.write("chain.onnx", chain()));
    await worker.measure({ kind: "range", firstLayer: 0, lastLayer: 0 }, ONCE);
    expect((await failure(worker.compare())).message).toContain("did not produce y");
  });

  it("says that a random model cannot be checked, and stays usable", async () => {
    const worker = await start();
    const path = models.write("dice.onnx", dice());
    await open(worker, path);
    const twice = { ...ONCE, repeats: 2 };
    expect((await failure(worker.measure({ kind: "whole" }, twice))).code).toBe("MODEL_UNSTABLE");
    await expect(open(worker, path)).resolves.toMatchObject({ layers: 2 });
  });

  it("wants an unbound axis bound, and gives a bound one its length", async () => {
    const worker = await start();
    const path = models.write("batched.onnx", batched());
    const error = await failure(open(worker, path));
    expect(error.code).toBe("MODEL_INPUT_UNBOUND");
    expect(error.message).toContain('axis 0 ("batch") of input x has no fixed length');
    expect(error.message).toContain("--input 'x=1x4'");
    const bound = await open(worker, path, [{ name: "x", shape: [3, 4] }]);
    expect(bound.cutPoints[0]?.tensors[0]).toMatchObject({ shape: [3, 4], bytes: 48 });
    expect(bound.notes).toEqual([]);
  });

  it("takes values that follow from shapes alone for constants, and the chain is right", async () => {
    const worker = await start();
    const path = models.write("reshaped.onnx", reshaped());
    const opened = await open(worker, path, [{ name: "x", shape: [3, 4] }]);
    const crossing = opened.cutPoints.map((cut) => cut.tensors.map((tensor) => tensor.name));
    expect(crossing).toEqual([["a"], ["b"], ["c"]]);
    await worker.measure({ kind: "whole" }, ONCE);
    const lastLayers = [...opened.cutPoints.map((cut) => cut.afterLayer), opened.layers - 1];
    let firstLayer = 0;
    for (const lastLayer of lastLayers) {
      await worker.measure({ kind: "range", firstLayer, lastLayer }, ONCE);
      firstLayer = lastLayer + 1;
    }
    expect(await worker.compare()).toMatchObject({ maxAbsoluteError: 0, ok: true });
  });

  it("writes the same file for the same shapes each time, another for others", async () => {
    const path = models.write("reshaped.onnx", reshaped());
    const extract = async (rows: number): Promise<string> => {
      const worker = await start();
      await open(worker, path, [{ name: "x", shape: [rows, 4] }]);
      const range = { firstLayer: 4, lastLayer: 4 };
      const extracted = await worker.extract(range, models.path(`tail-of-${rows}.onnx`));
      expect(extracted.inputs.map((input) => input.name)).toEqual(["c"]);
      return extracted.sha256;
    };
    const three = await extract(3);
    expect(await extract(3)).toBe(three);
    expect(await extract(2)).not.toBe(three);
    const tail = await open(await start(), models.path("tail-of-3.onnx"));
    expect(tail.inputs).toMatchObject([{ name: "c", shape: [12] }]);
    expect(tail.outputs).toMatchObject([{ name: "y", shape: [3, 4] }]);
  });

  it("carries values that follow from shapes where they are too large to copy", async () => {
    const MEBIBYTE = 2 ** 20;
    const worker = await start();
    const path = models.write("zeros.onnx", zeroAdded());
    const crossingOf = async (rows: number): Promise<string[][]> => {
      const inputs = [{ name: "x", shape: [rows, 4] }];
      const opened = await worker.open({ path, inputs, maxCutTensors: 2 });
      return opened.cutPoints.map((cut) => cut.tensors.map((tensor) => tensor.name));
    };
    const rows = MEBIBYTE / 16;
    expect(await crossingOf(rows)).toEqual([["a"]]);
    expect(await crossingOf(rows + 1)).toEqual([
      ["x", "zeros"],
      ["zeros", "a"],
    ]);
  });

  it("names the axis that must be bound, and the remedy", async () => {
    const worker = await start();
    const error = await failure(open(worker, models.write("unbound.onnx", unbound())));
    expect(error.code).toBe("MODEL_INPUT_UNBOUND");
    expect(error.message).toContain('axis 1 ("features") of input x');
    expect(error.message).toContain("--input 'x=1x1'");
  });

  it("refuses a binding of an input the model lacks", async () => {
    const path = models.write("chain.onnx", chain());
    const error = await failure(open(await start(), path, [{ name: "z\n", shape: [1] }]));
    expect(error.code).toBe("MODEL_INPUT_INVALID");
    expect(error.message).toContain("no input z\\u{a}; it has x");
  });

  it.each([
    ["a missing file", () => models.path("missing.onnx"), "MODEL_UNREADABLE"],
    ["text", () => models.writeBytes("text.onnx", "no model at all"), "MODEL_UNREADABLE"],
    [
      "an operator nobody knows",
      () => models.write("op.onnx", { ...chain(), domains: ["nobody"], opset: 999 }),
      "INFERENCE_FAILED",
    ],
  ])("refuses %s and answers on", async (_, path, code) => {
    const worker = await start();
    expect((await failure(open(worker, path()))).code).toBe(code);
    await expect(open(worker, models.write("chain.onnx", chain()))).resolves.toBeDefined();
  });

  it.each(["__proto__", "constructor", "a\u001b[2J\nb", "../../etc/passwd", "edge/+/#"])(
    "takes tensors of any name: %j",
    async (name) => {
      const worker = await start();
      await open(worker, models.write("names.onnx", chain({ b: name })));
      await worker.measure({ kind: "whole" }, ONCE);
      await worker.measure({ kind: "range", firstLayer: 0, lastLayer: 0 }, ONCE);
      await worker.measure({ kind: "range", firstLayer: 1, lastLayer: 2 }, ONCE);
      expect((await worker.compare()).ok).toBe(true);
    },
  );
});
