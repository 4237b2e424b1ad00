import { readFileSync } from "node:fs";
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

/** Files that hang, exhaust memory or crash a process that loads them, and how they must end. */
const HOSTILE = [
  { file: "infinite_loop.onnx", code: "INFERENCE_TIMEOUT" },
  { file: "bomb_doubling_concat.onnx", code: "INFERENCE_MEMORY" },
  { file: "real_optional_sequence_segv.onnx", code: "MODEL_UNSUPPORTED" },
  { file: "nested_if_20000.onnx", code: "MODEL_TOO_LARGE" },
  { file: "bomb_constantofshape_1TiB.onnx", code: "INFERENCE_FAILED" },
  { file: "external_traversal.onnx", code: "MODEL_UNREADABLE" },
  { file: "random_output.onnx", code: "MODEL_UNSTABLE" },
  { file: "cycle_self.onnx", code: "MODEL_UNREADABLE" },
] as const;

describeWithData("hostile models", (directory) => {
  it.each(HOSTILE)("$file ends with $code", async ({ file, code }) => {
    const options = benchmarkOptionsSchema.parse({
      repeats: 2,
      // Only the endless one waits for it.
      timeoutMs: file === "infinite_loop.onnx" ? 3_000 : 25_000,
      inference: { memoryLimitMiB: 400 },
    });
    const path = join(directory, "models", "bad", file);
    const error: unknown = await benchmarkModel(
      { path, inputs: [], node: NODE },
      options,
      DEPS,
    ).then(
      () => "it succeeded",
      (reason: unknown) => reason,
    );
    expect(isAppError(error) ? error.code : error).toBe(code);
  });
});
