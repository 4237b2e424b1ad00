import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  extractSubModel,
  findCutPoints,
  neededConstants,
  parseModel,
  type TensorValue,
  withExtraOutputs,
  withShapeConstants,
} from "../../src/model/index.js";
import { type GraphProto, ModelProtoSchema } from "../../src/model/proto/onnx_pb.js";
import type { TensorInfo } from "../../src/protocol/index.js";
import { cutsByDefinition } from "../support/cuts-by-definition.js";
import {
  buildModel,
  floats,
  integers,
  LOCAL_DOMAIN,
  localFunction,
  type ModelParts,
  node,
  value,
} from "../support/onnx-builder.js";
import { bindByRunning, feedOf, runOnnx, type Tensors, valueOf } from "../support/onnx-chain.js";
import { shapeGraph } from "../support/shape-graph.js";

const INPUT_LENGTH = 3;

function dependentsOf(nodes: ModelParts["nodes"], more: Partial<ModelParts> = {}): string[] {
  const last = nodes.at(-1)?.output[0] ?? "";
  const inputs = [value("x", ["n", 3])];
  const bytes = buildModel({ inputs, outputs: [value(last)], nodes, ...more });
  return [...parseModel(bytes).shapeDependents];
}

function int64(...values: number[]): TensorValue {
  const data = new Uint8Array(new BigInt64Array(values.map(BigInt)).buffer);
  return { dtype: "int64", shape: [values.length], data };
}

function graphOf(bytes: Uint8Array): GraphProto {
  const { graph } = fromBinary(ModelProtoSchema, bytes);
  if (graph === undefined) throw new Error("a sub-model has no graph");
  return graph;
}

describe("what depends on shapes alone", () => {
  test("is what Shape and Size read off inputs and inner tensors, and what is computed from it", () => {
    const nodes = [
      node("MatMul", ["x", "w"], ["a"]),
      node("Shape", ["a"], ["s"]),
      node("Size", ["x"], ["z"]),
      node("Gather", ["s", "i"], ["g"]),
      node("Mul", ["g", "z"], ["m"]),
      node("Reshape", ["a", "m"], ["y"]),
      node("Shape", ["y"], ["end"]),
    ];
    const initializers = [floats("w", [1, 2, 3], [3, 1]), integers("i", [0])];
    expect(dependentsOf(nodes, { initializers })).toEqual(["s", "z", "g", "m", "end"]);
  });

  test.each([
    ["NonZero", [node("NonZero", ["x"], ["a"])]],
    ["Unique", [node("Unique", ["x"], ["a"])]],
    ["a local function", [node("Twice", ["x"], ["a"], { domain: LOCAL_DOMAIN })]],
    ["an operator nobody knows", [node("Odd", ["x"], ["a"], { domain: "odd" })]],
    ["Reshape by values", [node("Cast", ["x"], ["v"]), node("Reshape", ["x", "v"], ["a"])]],
    ["Slice by values", [node("Cast", ["x"], ["v"]), node("Slice", ["x", "i", "v"], ["a"])]],
    ["Pad by values", [node("Cast", ["x"], ["v"]), node("Pad", ["x", "v"], ["a"])]],
    ["TopK by values", [node("Cast", ["x"], ["v"]), node("TopK", ["x", "v"], ["a", "at"])]],
    ["what follows one of these", [node("NonZero", ["x"], ["n"]), node("Abs", ["n"], ["a"])]],
  ])("is not a shape that comes from %s", (_, nodes) => {
    const functions = [
      localFunction("Twice", {
        inputs: ["i"],
        outputs: ["o"],
        nodes: [node("Add", ["i", "i"], ["o"])],
      }),
    ];
    const more = { functions, domains: [LOCAL_DOMAIN, "odd"], initializers: [integers("i", [0])] };
    expect(dependentsOf([...nodes, node("Shape", ["a"], ["s"])], more)).toEqual([]);
  });

  test("is the shape of random numbers, but not a random number of that shape", () => {
    const nodes = [
      node("RandomNormalLike", ["x"], ["r"]),
      node("Shape", ["r"], ["s"]),
      node("ConstantOfShape", ["s"], ["c"]),
      node("RandomNormalLike", ["c"], ["y"]),
    ];
    expect(dependentsOf(nodes)).toEqual(["s", "c"]);
  });

  test("is not what a model's own function of a well-known name computes", () => {
    const shape = { ...localFunction("Shape", { inputs: ["i"], outputs: ["i"], nodes: [] }) };
    shape.domain = "";
    expect(dependentsOf([node("Shape", ["x"], ["s"])], { functions: [shape] })).toEqual([]);
  });
});

/** x → a → b → y, where y takes the shape that a had. */
const flattened = parseModel(
  buildModel({
    inputs: [value("x", ["n", 3])],
    outputs: [value("y", ["n", 3])],
    initializers: [integers("flat", [-1]), integers("two", [2])],
    valueInfo: [value("b", ["m"])],
    nodes: [
      node("Abs", ["x"], ["a"]),
      node("Shape", ["a"], ["s"]),
      node("Reshape", ["a", "flat"], ["b"]),
      node("Mul", ["s", "two"], ["t"]),
      node("Div", ["t", "two"], ["u"]),
      node("Exp", ["b"], ["c"]),
      node("Reshape", ["c", "u"], ["y"]),
    ],
  }),
);
const bound = withShapeConstants(flattened, new Map([["u", int64(2, 3)]]));
const types = new Map<string, TensorInfo>([
  ["x", { name: "x", dtype: "float32", shape: [2, 3], bytes: 24 }],
  ["a", { name: "a", dtype: "float32", shape: [2, 3], bytes: 24 }],
  ["b", { name: "b", dtype: "float32", shape: [6], bytes: 24 }],
  ["c", { name: "c", dtype: "float32", shape: [6], bytes: 24 }],
]);

test("a crossing tensor whose shape varies with values is declared without one", () => {
  const varying = parseModel(
    buildModel({
      inputs: [value("x", [2, 3])],
      outputs: [value("y", ["k", 2])],
      nodes: [
        node("Abs", ["x"], ["a"]),
        node("NonZero", ["a"], ["n"]),
        node("Transpose", ["n"], ["y"]),
      ],
    }),
  );
  const measured = { name: "n", dtype: "int64", shape: [2, 6], bytes: 96 };
  const known = new Map([...types, ["n", measured] as const]);
  const last = extractSubModel(varying, { firstLayer: 2, lastLayer: 2 }, known);
  expect(parseModel(last.bytes).inputs).toEqual([{ name: "n", dtype: "int64", shape: null }]);
  const middle = extractSubModel(varying, { firstLayer: 1, lastLayer: 1 }, known);
  expect(parseModel(middle.bytes).inputs).toEqual([{ name: "a", dtype: "float32", shape: [2, 3] }]);
});

describe("shape constants", () => {
  test("hide no cut once they are known, and only the last steps need be known", () => {
    expect(neededConstants(flattened, flattened.shapeDependents)).toEqual(["u"]);
    const cuts = (model: typeof flattened): string[] =>
      findCutPoints(model, { maxCutTensors: 1 }).flatMap((cut) => cut.tensors);
    expect(cuts(flattened)).toEqual(["a"]);
    expect(cuts(bound)).toEqual(["a", "b", "c"]);
    expect(flattened.shapeConstants.size).toBe(0);
  });

  test("are computed in the sub-model where all they need is in it", () => {
    const part = extractSubModel(bound, { firstLayer: 0, lastLayer: 6 }, types);
    const graph = graphOf(part.bytes);
    expect(graph.node).toHaveLength(7);
    expect(graph.initializer.map((tensor) => tensor.name)).toEqual(["flat", "two"]);
    expect(parseModel(part.bytes).inputs[0]?.shape).toEqual(["n", 3]);
  });

  test("come along as values elsewhere, and then no other shape is taken", () => {
    const part = extractSubModel(bound, { firstLayer: 3, lastLayer: 6 }, types);
    expect(part.inputs).toEqual(["b"]);
    const graph = graphOf(part.bytes);
    expect(graph.node.map((layer) => layer.opType)).toEqual(["Exp", "Reshape"]);
    expect(graph.initializer.map(({ name, rawData }) => [name, rawData])).toEqual([
      ["u", int64(2, 3).data],
    ]);
    expect(parseModel(part.bytes).inputs[0]?.shape).toEqual([6]);
    const without = extractSubModel(bound, { firstLayer: 5, lastLayer: 5 }, types);
    expect(parseModel(without.bytes).inputs[0]?.shape).toEqual(["m"]);
  });

  test("the steps towards a constant are left out where nothing needs them", () => {
    const part = extractSubModel(bound, { firstLayer: 0, lastLayer: 4 }, types);
    expect(graphOf(part.bytes).node.map((layer) => layer.opType)).toEqual(["Abs", "Reshape"]);
    expect(part.outputs).toEqual(["b"]);
  });

  test("are listed as inputs, too, where IR version 3 demands it", () => {
    const old = parseModel(
      buildModel({
        irVersion: 3,
        opset: 8,
        inputs: [value("x", [2, 3])],
        outputs: [value("y", [2, 3])],
        nodes: [
          node("Shape", ["x"], ["s"]),
          node("Flatten", ["x"], ["a"]),
          node("Reshape", ["a", "s"], ["y"]),
        ],
      }),
    );
    const known = withShapeConstants(old, new Map([["s", int64(2, 3)]]));
    const part = extractSubModel(known, { firstLayer: 2, lastLayer: 2 }, types);
    expect(part.inputs).toEqual(["a"]);
    expect(graphOf(part.bytes).input.map((input) => input.name)).toEqual(["a", "s"]);
  });

  test("that are outputs of the model belong to the last sub-model", () => {
    const nodes = [
      node("Shape", ["x"], ["s"]),
      node("Abs", ["x"], ["a"]),
      node("Neg", ["a"], ["y"]),
    ];
    const outputs = [value("s", [2], "int64"), value("y", [2, 3])];
    const known = withShapeConstants(
      parseModel(buildModel({ nodes, inputs: [value("x", [2, 3])], outputs })),
      new Map([["s", int64(2, 3)]]),
    );
    expect(findCutPoints(known, { maxCutTensors: 1 }).map((cut) => cut.tensors)).toEqual([["a"]]);
    const first = extractSubModel(known, { firstLayer: 0, lastLayer: 1 }, types);
    const last = extractSubModel(known, { firstLayer: 2, lastLayer: 2 }, types);
    expect([first.outputs, last.outputs]).toEqual([["a"], ["s", "y"]]);
  });

  test("of the same model give the same bytes each time", () => {
    const again = withShapeConstants(flattened, new Map([["u", int64(2, 3)]]));
    const range = { firstLayer: 5, lastLayer: 6 };
    const first = extractSubModel(bound, range, types).bytes;
    expect(extractSubModel(again, range, types).bytes).toEqual(first);
  });

  test("whose data does not suit their type are refused", () => {
    const wrong = { ...int64(2, 3), shape: [3] };
    const broken = withShapeConstants(flattened, new Map([["u", wrong]]));
    const range = { firstLayer: 5, lastLayer: 6 };
    expect(() => extractSubModel(broken, range, types)).toThrow("cannot be 16 bytes");
  });
});

function feedsOf(parts: ModelParts, seed: number): Tensors {
  const feeds = (parts.inputs ?? []).map(({ name = "" }, index) => {
    const tensor = feedOf("float32", [INPUT_LENGTH], { seed: seed + index });
    // Of both signs, so that what depends on values differs between two seeds.
    if (tensor.data instanceof Float32Array)
      tensor.data.forEach((item, at, all) => (all[at] = item - 0.5));
    return [name, tensor] as const;
  });
  return new Map(feeds);
}

describe("random graphs with lengths beside the data", () => {
  test("what is found to depend on shapes is the same for other values", async () => {
    await fc.assert(
      fc.asyncProperty(shapeGraph, fc.nat(), fc.nat(), async (parts, seed, other) => {
        const model = parseModel(buildModel(parts));
        const names = [...model.shapeDependents];
        const bytes = withExtraOutputs(model, names);
        const learn = async (from: number): Promise<(TensorValue | undefined)[]> => {
          const results = await runOnnx(bytes, feedsOf(parts, from), { optimised: false });
          return names.map((name) => valueOf(results.get(name) as never));
        };
        expect(await learn(other)).toEqual(await learn(seed));
      }),
      { numRuns: 100 },
    );
  });

  test("the cut points are those of the definition", async () => {
    await fc.assert(
      fc.asyncProperty(shapeGraph, fc.integer({ min: 1, max: 3 }), async (parts, maxCutTensors) => {
        const plain = parseModel(buildModel(parts));
        const model = await bindByRunning(plain, feedsOf(parts, 1));
        const found = findCutPoints(model, { maxCutTensors }).map((cut) => ({
          after: cut.afterLayer,
          names: [...cut.tensors].sort(),
        }));
        expect(found).toEqual(cutsByDefinition(model, maxCutTensors));
      }),
      { numRuns: 60 },
    );
  });
});
