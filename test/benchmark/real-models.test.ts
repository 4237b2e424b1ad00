import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { z } from "zod";
import { benchmarkModel, benchmarkOptionsSchema, inspectModel } from "../../src/benchmark/index.js";
import { isAppError, silentLogger, systemClock } from "../../src/core/index.js";
import type { InputBinding } from "../../src/protocol/index.js";
import { describeWithData } from "../support/data.js";

const OPTIONS = benchmarkOptionsSchema.parse({ repeats: 1, repeatsMax: 1, warmups: 1 });
const DEPS = { log: silentLogger, clock: systemClock };
const NODE = { tier: "edge", name: "edge", hardwareClass: "edge" } as const;

const manifestSchema = z.object({
  models: z.array(
    z.object({
      file: z.string(),
      usedShapes: z.record(z.string(), z.array(z.number())).nullable(),
      fill: z.record(z.string(), z.number()).nullable(),
      singleTensorCuts: z.array(z.tuple([z.string(), z.number().nullable()])).nullable(),
    }),
  ),
});
type Entry = z.infer<typeof manifestSchema>["models"][number];

/** Small ones of each kind: chains, branches, external data, quantised, recurrent, control flow. */
const FILES = [
  "light_squeezenet.onnx",
  "mnist_rten_external/mnist_rten_external.onnx",
  "ultraface_rfb_320_simplified.onnx",
  "bert_mrpc_tf.onnx",
  "byte_bidi_lstm.onnx",
  "conv_qdq_external/conv_qdq_external.onnx",
  "lgbm_classifier_tensor.onnx",
  "overridable_initializer.onnx",
  "fp16_loop.onnx",
  "nested_loops_30.onnx",
  "silero_vad_v5.onnx",
  "zero_nodes_phi3v.onnx",
];

/**
 * Cuts beyond the manifest's, which counts paths through `Shape`, too. What those carry is a
 * constant once the inputs are bound, so a cut beside them is real; the equality check proves it.
 */
const FURTHER_CUTS = new Map([["byte_bidi_lstm.onnx", ["32"]]]);

function bindingsOf(entry: Entry): InputBinding[] {
  return Object.entries(entry.usedShapes ?? {}).map(([name, shape]) => {
    const value = entry.fill?.[name];
    return value === undefined ? { name, shape } : { name, shape, value };
  });
}

describeWithData("real models", (directory) => {
  const models = join(directory, "models");
  const text = readFileSync(join(models, "manifest.json"), "utf8");
  const entries = manifestSchema.parse(JSON.parse(text)).models;

  it.each(FILES)("%s: blocks chain to the whole model", async (file) => {
    const entry = entries.find((candidate) => candidate.file === file)!;
    const request = { path: join(models, file), inputs: bindingsOf(entry) };
    const profile = await benchmarkModel({ ...request, node: NODE }, OPTIONS, DEPS);
    expect(profile.equality.ok).toBe(true);
    expect(profile.equality.maxRelativeError).toBeLessThan(1e-5);
  });

  it.each(FILES)("%s: every cut tensor is found, and no other", async (file) => {
    const entry = entries.find((candidate) => candidate.file === file)!;
    const request = { path: join(models, file), inputs: bindingsOf(entry) };
    const inspection = await inspectModel(request, OPTIONS, DEPS);
    const outputs = new Set(inspection.outputs.map((output) => output.name));
    const expected = (entry.singleTensorCuts ?? []).filter(([name]) => !outputs.has(name));
    const found = new Map(
      inspection.cutPoints.map((cut) => [cut.tensors[0]!.name, cut.tensors[0]!.bytes]),
    );
    const names = [...expected.map(([name]) => name), ...(FURTHER_CUTS.get(file) ?? [])];
    expect([...found.keys()].sort()).toEqual(names.sort());
    for (const [name, bytes] of expected) if (bytes !== null) expect(found.get(name)).toBe(bytes);
  });
});

/** Files that must end with a certain error; of the others any named error or a profile will do. */
const HOSTILE = new Map([
  ["infinite_loop.onnx", "INFERENCE_TIMEOUT"],
  ["slow_loop_1e7.onnx", "INFERENCE_TIMEOUT"],
  ["bomb_doubling_concat.onnx", "INFERENCE_MEMORY"],
  ["real_optional_sequence_segv.onnx", "MODEL_UNSUPPORTED"],
  ["nested_if_20000.onnx", "MODEL_TOO_LARGE"],
  ["bomb_constantofshape_1TiB.onnx", "INFERENCE_FAILED"],
  ["external_traversal.onnx", "MODEL_UNREADABLE"],
  ["random_output.onnx", "MODEL_UNSTABLE"],
  ["nan_output.onnx", "MODEL_NOT_A_NUMBER"],
  ["cycle_self.onnx", "MODEL_UNREADABLE"],
  ["ok_control.onnx", "it succeeded"],
]);
const MEMORY_LIMIT_MIB = 500;
const TIME_LIMIT_MS = 4_000;
/** For starting and ending the child beside other tests. */
const SLACK_MS = 15_000;

describeWithData("hostile models", (directory) => {
  const bad = join(directory, "models", "bad");
  const files = readdirSync(bad).filter((file) => file.endsWith(".onnx"));

  it.each(files)("%s is answered in bounded time and memory", async (file) => {
    const options = benchmarkOptionsSchema.parse({
      repeats: 2,
      repeatsMax: 2,
      timeoutMs: TIME_LIMIT_MS,
      inference: { memoryLimitMiB: MEMORY_LIMIT_MIB },
    });
    const startedMs = performance.now();
    const outcome: unknown = await benchmarkModel(
      { path: join(bad, file), inputs: [], node: NODE },
      options,
      DEPS,
    ).then(
      () => "it succeeded",
      (reason: unknown) => reason,
    );
    expect(performance.now() - startedMs).toBeLessThan(TIME_LIMIT_MS + SLACK_MS);
    const code = isAppError(outcome) ? outcome.code : outcome;
    expect(code).toEqual(HOSTILE.get(file) ?? expect.any(String));
    expect(code).not.toBe("INTERNAL");
    expect(code).not.toBe("INFERENCE_CRASHED");
  });
});
