import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { Tensor } from "onnxruntime-node";
import { expect, test } from "vitest";
import {
  blocksOf,
  findCutPoints,
  inlineExternalData,
  type OnnxModel,
  parseModel,
  withExtraOutputs,
} from "../../src/model/index.js";
import { describeWithData } from "../support/data.js";
import { type RealModel, realModels } from "../support/manifest.js";
import {
  buildModel,
  encode,
  floats,
  graphAttribute,
  LOCAL_DOMAIN,
  localFunction,
  node,
  onnxGraph,
  value,
} from "../support/onnx-builder.js";
import {
  bindByRunning,
  feedOf,
  infosOf,
  runChain,
  runOnnx,
  type Tensors,
} from "../support/onnx-chain.js";
import { randomGraph } from "../support/random-graph.js";
import { shapeGraph } from "../support/shape-graph.js";

const SEED = 20_261_123;

/**
 * Runs the model whole and as a chain of all its blocks, whose types are learnt from `typesFrom`, and
 * gives the number of blocks. Node by
 * node the two are equal bit for bit; what ONNX Runtime fuses in the whole and cannot fuse across a
 * cut rounds differently, so with its optimiser they are only close.
 */
async function compareChain(
  model: OnnxModel,
  feeds: Tensors,
  options: { maxCutTensors: number; typesFrom?: Tensors },
): Promise<number> {
  const { maxCutTensors, typesFrom = feeds } = options;
  const cuts = findCutPoints(model, { maxCutTensors });
  const blocks = blocksOf(model, cuts);
  const crossing = cuts.flatMap((cut) => cut.tensors).filter((name) => !feeds.has(name));
  const bytes = withExtraOutputs(model, crossing);
  const types = infosOf(
    new Map([...typesFrom, ...(await runOnnx(bytes, typesFrom, { optimised: false }))]),
  );
  for (const optimised of [false, true]) {
    const chained = await runChain(model, blocks, { feeds, types, optimised });
    const whole = await runOnnx(encode(model.proto), feeds, { optimised });
    expect([...chained.keys()].sort()).toEqual([...whole.keys()].sort());
    for (const [name, tensor] of whole) {
      expect(chained.get(name)?.dims, name).toEqual(tensor.dims);
      const isEqual = optimised ? isClose : isSameData;
      expect(isEqual(chained.get(name), tensor), name).toBe(true);
    }
  }
  return blocks.length;
}

/** Floats that differ by less than a hundred-thousandth of the largest; all else bit for bit. */
function isClose(left: Tensor | undefined, right: Tensor): boolean {
  if (!(left?.data instanceof Float32Array) || !(right.data instanceof Float32Array)) {
    return isSameData(left, right);
  }
  const largest = right.data.reduce((most, item) => Math.max(most, Math.abs(item)), 0);
  const { data } = left;
  return right.data.every((item, index) => {
    return Math.abs(item - (data[index] ?? Number.NaN)) <= 1e-5 * largest;
  });
}

/** Bit for bit; NaN equals itself. */
function isSameData(left: Tensor | undefined, right: Tensor): boolean {
  if (left === undefined || left.type !== right.type) return false;
  return Buffer.from(bytesOf(left)).equals(bytesOf(right));
}

function bytesOf({ data }: Tensor): Uint8Array {
  if (ArrayBuffer.isView(data))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.from(JSON.stringify(data));
}

/** Floats of both signs, so that lengths that follow from values differ between two seeds. */
function signedFeedsOf(model: OnnxModel, seed: number): Tensors {
  const LENGTH = 3;
  return new Map(
    model.inputs.map(({ name, dtype }, index) => {
      const feed = feedOf(dtype, [LENGTH], { seed: seed + index });
      const data = Float32Array.from(feed.data as Float32Array, (item) => item - 0.5);
      return [name, new Tensor("float32", data, feed.dims)];
    }),
  );
}

function feedsOf(model: OnnxModel, seed: number): Tensors {
  return new Map(
    model.inputs.map(({ name, dtype, shape }, index) => {
      const lengths = (shape ?? []).map((length) => (typeof length === "number" ? length : 1));
      return [name, feedOf(dtype, lengths, { seed: seed + index })];
    }),
  );
}

test("random graphs compute the same in blocks, bit for bit", async () => {
  await fc.assert(
    fc.asyncProperty(
      randomGraph,
      fc.integer({ min: 1, max: 3 }),
      fc.nat(),
      async (parts, maxCutTensors, seed) => {
        const model = parseModel(buildModel(parts));
        await compareChain(model, feedsOf(model, seed), { maxCutTensors });
      },
    ),
    { numRuns: 60 },
  );
});

test("random graphs with lengths beside the data compute the same in blocks for other values", async () => {
  const seeds = fc.record({ learnt: fc.nat(), run: fc.nat() });
  await fc.assert(
    fc.asyncProperty(
      shapeGraph,
      fc.integer({ min: 1, max: 3 }),
      seeds,
      async (parts, maxCutTensors, seed) => {
        const model = parseModel(buildModel(parts));
        const typesFrom = signedFeedsOf(model, seed.learnt);
        const bound = await bindByRunning(model, typesFrom);
        const feeds = signedFeedsOf(model, seed.run);
        await compareChain(bound, feeds, { maxCutTensors, typesFrom });
      },
    ),
    { numRuns: 60 },
  );
});

test("branches with captured tensors and local functions compute the same in blocks", async () => {
  const branch = (opType: string, output: string) =>
    onnxGraph({
      nodes: [node(opType, ["a", "w"], [output])],
      outputs: [value(output, [2, 3])],
      name: output,
    });
  const model = parseModel(
    buildModel({
      domains: [LOCAL_DOMAIN],
      nodes: [
        node("Twice", ["x"], ["a"], { domain: LOCAL_DOMAIN }),
        node("If", ["c"], ["b"], {
          attributes: [
            graphAttribute("then_branch", branch("Add", "p")),
            graphAttribute("else_branch", branch("Mul", "q")),
          ],
        }),
        node("Twice", ["b"], ["y"], { domain: LOCAL_DOMAIN }),
      ],
      inputs: [value("x", [2, 3]), value("c", [], "bool")],
      outputs: [value("y", [2, 3])],
      initializers: [floats("w", [1, 2, 3])],
      functions: [
        localFunction("Twice", {
          inputs: ["i"],
          outputs: ["o"],
          nodes: [node("Add", ["i", "i"], ["o"])],
        }),
      ],
    }),
  );
  expect(await compareChain(model, feedsOf(model, SEED), { maxCutTensors: 2 })).toBe(3);
});

/** Real weights, small and quick, and unlike each other. */
const CHOSEN: readonly { name: string; maxCutTensors: number }[] = [
  { name: "mnist_cntk", maxCutTensors: 1 },
  { name: "mnist_rten_external", maxCutTensors: 1 },
  { name: "german_traffic_fast", maxCutTensors: 1 },
  { name: "vespa_random_encoder", maxCutTensors: 1 },
  { name: "vespa_random_decoder", maxCutTensors: 2 },
  { name: "bert_mrpc_tf", maxCutTensors: 1 },
  { name: "byte_bidi_lstm", maxCutTensors: 1 },
  { name: "lgbm_classifier_tensor", maxCutTensors: 2 },
  { name: "bike_sharing_onehot", maxCutTensors: 3 },
  { name: "conv_qdq_external", maxCutTensors: 1 },
  { name: "layout_transform_qdq", maxCutTensors: 2 },
  { name: "shared_init_transpose", maxCutTensors: 1 },
  { name: "rank_inference_constants", maxCutTensors: 2 },
  { name: "three_layer_nested_if", maxCutTensors: 1 },
  { name: "silero_vad_v4_legacy", maxCutTensors: 4 },
  { name: "dtln_model1", maxCutTensors: 3 },
  { name: "gtcrn_simple", maxCutTensors: 3 },
  { name: "scan_1_cntk", maxCutTensors: 3 },
];

/** Those whose cuts or sub-models depend on shape constants. */
const CHOSEN_WITH_SHAPES: readonly { name: string; maxCutTensors: number; blocksMin: number }[] = [
  { name: "gpt2_no_past_export", maxCutTensors: 1, blocksMin: 32 },
  { name: "basic_pitch", maxCutTensors: 1, blocksMin: 25 },
  { name: "magika_fast_v2_1", maxCutTensors: 1, blocksMin: 23 },
  { name: "vespa_random_decoder", maxCutTensors: 4, blocksMin: 64 },
  { name: "byte_bidi_lstm", maxCutTensors: 1, blocksMin: 12 },
  { name: "rank_inference_constants", maxCutTensors: 4, blocksMin: 4 },
];

describeWithData("real models in blocks", (directory) => {
  const models = new Map(realModels(directory).map((real) => [real.name, real]));
  for (const { name, maxCutTensors } of CHOSEN) {
    const real = models.get(name);
    if (real === undefined) continue;
    test(`${name} computes the same in blocks with ${maxCutTensors} tensors at most`, async () => {
      const model = loadReal(directory, real);
      const blocks = await compareChain(model, realFeeds(model, real), { maxCutTensors });
      expect(blocks).toBeGreaterThan(0);
    });
  }
});

describeWithData("real models with shape constants in blocks", (directory) => {
  const models = new Map(realModels(directory).map((real) => [real.name, real]));
  for (const { name, maxCutTensors, blocksMin } of CHOSEN_WITH_SHAPES) {
    const real = models.get(name);
    if (real === undefined) continue;
    test(`${name} learns them from one input and computes the same for another`, async () => {
      const model = loadReal(directory, real);
      const typesFrom = realFeeds(model, real);
      const bound = await bindByRunning(model, typesFrom);
      const other = realFeeds(model, real, { seed: SEED + 100, integerFill: 0 });
      const blocks = await compareChain(bound, other, { maxCutTensors, typesFrom });
      expect(blocks).toBeGreaterThanOrEqual(blocksMin);
    });
  }
});

function loadReal(directory: string, real: RealModel): OnnxModel {
  const path = join(directory, "models", real.file);
  return inlineExternalData(parseModel(readFileSync(path)), (location, offset, length) => {
    const data = readFileSync(join(dirname(path), location));
    return data.subarray(offset, length === undefined ? undefined : offset + length);
  });
}

function realFeeds(
  model: OnnxModel,
  real: RealModel,
  { seed, integerFill }: { seed: number; integerFill?: number } = { seed: SEED },
): Tensors {
  return new Map(
    model.inputs.map(({ name, dtype }, index) => {
      const fill = dtype === "float32" ? real.fill?.[name] : (integerFill ?? real.fill?.[name]);
      const options = { seed: seed + index, ...(fill === undefined ? {} : { fill }) };
      return [name, feedOf(dtype, real.usedShapes?.[name] ?? [], options)];
    }),
  );
}
