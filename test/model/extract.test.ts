import { fromBinary } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { extractSubModel, parseModel, withExtraOutputs } from "../../src/model/index.js";
import { type GraphProto, ModelProtoSchema } from "../../src/model/proto/onnx_pb.js";
import type { TensorInfo } from "../../src/protocol/index.js";
import {
  buildModel,
  constantFloats,
  encode,
  floats,
  graphAttribute,
  LOCAL_DOMAIN,
  localFunction,
  node,
  onnxGraph,
  onnxModel,
  value,
} from "../support/onnx-builder.js";

/** Types as a run would find them: every tensor is 2×3 floats. */
function measured(...names: string[]): Map<string, TensorInfo> {
  const infos = names.map((name) => ({ name, dtype: "float32", shape: [2, 3], bytes: 24 }));
  return new Map(infos.map((info) => [info.name, info]));
}

function graphOf(bytes: Uint8Array): GraphProto {
  const { graph } = fromBinary(ModelProtoSchema, bytes);
  if (graph === undefined) throw new Error("a sub-model has no graph");
  return graph;
}

/** x → a → b → y with weights, a constant that two layers share, a dead end, and x read late. */
const sample = onnxModel({
  nodes: [
    node("Add", ["x", "w1"], ["a"]),
    constantFloats("c", [1, 2, 3]),
    node("Neg", ["c"], ["d"]),
    node("Add", ["a", "d"], ["b"]),
    node("Exp", ["a"], ["dead"]),
    node("Sum", ["b", "d", "w2", "x"], ["y"]),
  ],
  inputs: [value("x", ["rows", 3]), value("unused", [1])],
  outputs: [value("y", ["rows", 3])],
  initializers: [floats("w1", [1, 2, 3]), floats("w2", [4, 5, 6]), floats("w3", [7])],
  valueInfo: [value("a", ["rows", 3]), value("b", [9, 9])],
});
const model = parseModel(encode(sample));
const types = measured("x", "a", "b", "y");

test("a middle range reads and gives what crosses its borders", () => {
  const part = extractSubModel(model, { firstLayer: 1, lastLayer: 4 }, types);
  expect([part.inputs, part.outputs]).toEqual([["a"], ["b"]]);
  const graph = graphOf(part.bytes);
  expect(graph.node.map((layer) => layer.opType)).toEqual(["Constant", "Neg", "Add"]);
  expect(graph.initializer).toEqual([]);
});

test("constants are computed again where they are needed, and only needed weights come along", () => {
  const part = extractSubModel(model, { firstLayer: 5, lastLayer: 5 }, types);
  expect([part.inputs, part.outputs]).toEqual([["x", "b"], ["y"]]);
  const graph = graphOf(part.bytes);
  expect(graph.node.map((layer) => layer.opType)).toEqual(["Constant", "Neg", "Sum"]);
  expect(graph.initializer.map((tensor) => tensor.name)).toEqual(["w2"]);
});

test("a carried tensor that a range neither reads nor makes does not appear", () => {
  const part = extractSubModel(model, { firstLayer: 3, lastLayer: 4 }, types);
  expect(part.inputs).not.toContain("x");
  expect(part.outputs).toEqual(["b"]);
});

test("declared types stay unless they contradict the measured ones", () => {
  const { bytes } = extractSubModel(model, { firstLayer: 1, lastLayer: 4 }, types);
  const again = parseModel(bytes);
  expect(again.inputs).toEqual([{ name: "a", dtype: "float32", shape: ["rows", 3] }]);
  expect(again.outputs).toEqual([{ name: "b", dtype: "float32", shape: [2, 3] }]);
});

test("the whole range is the model without what nothing needs", () => {
  const part = extractSubModel(model, { firstLayer: 0, lastLayer: 5 }, types);
  expect([part.inputs, part.outputs]).toEqual([["x"], ["y"]]);
  expect(graphOf(part.bytes).node).toHaveLength(5);
});

test("the same arguments give the same bytes, and the model stays as it was", () => {
  const range = { firstLayer: 0, lastLayer: 3 };
  const first = extractSubModel(model, range, types).bytes;
  expect(extractSubModel(parseModel(encode(sample)), range, types).bytes).toEqual(first);
  expect(parseModel(encode(model.proto)).layers).toHaveLength(6);
});

test("a crossing tensor of unknown type is named", () => {
  const plain = parseModel(
    buildModel({
      nodes: [node("Abs", ["x"], ["a"]), node("Neg", ["a"], ["y"])],
      inputs: [value("x")],
      outputs: [value("y")],
    }),
  );
  const message: unknown = expect.stringContaining('"a"');
  expect(() => extractSubModel(plain, { firstLayer: 1, lastLayer: 1 }, new Map())).toThrow(
    expect.objectContaining({ code: "MODEL_UNSUPPORTED", message }),
  );
});

test("a range that computes nothing is refused", () => {
  expect(() => extractSubModel(model, { firstLayer: 4, lastLayer: 4 }, types)).toThrow(
    expect.objectContaining({ code: "MODEL_UNSUPPORTED" }),
  );
});

test("versions, operator sets, functions and unknown fields go along", () => {
  const whole = onnxModel({
    irVersion: 9,
    opset: 15,
    domains: [LOCAL_DOMAIN],
    nodes: [node("Twice", ["x"], ["a"], { domain: LOCAL_DOMAIN }), node("Abs", ["a"], ["y"])],
    inputs: [value("x", [2, 3])],
    outputs: [value("y", [2, 3])],
    functions: [
      localFunction("Twice", {
        inputs: ["i"],
        outputs: ["o"],
        nodes: [node("Add", ["i", "i"], ["o"])],
      }),
    ],
  });
  const field = { no: 777, wireType: WireType.LengthDelimited, data: Uint8Array.of(2, 0xca, 0xfe) };
  whole.$unknown = [field];
  if (whole.graph !== undefined) whole.graph.$unknown = [field];
  const { bytes } = extractSubModel(
    parseModel(encode(whole)),
    { firstLayer: 1, lastLayer: 1 },
    measured("a"),
  );
  const part = fromBinary(ModelProtoSchema, bytes);
  expect(part.irVersion).toBe(9n);
  expect(part.opsetImport).toEqual(whole.opsetImport);
  expect(part.functions).toHaveLength(1);
  expect([part.$unknown, part.graph?.$unknown]).toEqual([[field], [field]]);
});

test("what a sub-graph captures comes in as an input or is copied as a constant", () => {
  const branch = onnxGraph({
    nodes: [node("Sum", ["a", "w", "k"], ["z"])],
    outputs: [value("z", [2, 3])],
  });
  const attributes = [graphAttribute("then_branch", branch), graphAttribute("else_branch", branch)];
  const outer = parseModel(
    buildModel({
      nodes: [
        node("Abs", ["x"], ["a"]),
        constantFloats("k", [1, 2, 3]),
        node("Neg", ["a"], ["b"]),
        node("If", ["c"], ["y"], { attributes }),
      ],
      inputs: [value("x", [2, 3]), value("c", [], "bool")],
      outputs: [value("y", [2, 3])],
      initializers: [floats("w", [1, 2, 3])],
    }),
  );
  const part = extractSubModel(outer, { firstLayer: 3, lastLayer: 3 }, measured("a"));
  expect(part.inputs).toEqual(["c", "a"]);
  const graph = graphOf(part.bytes);
  expect(graph.node.map((layer) => layer.opType)).toEqual(["Constant", "If"]);
  expect(graph.initializer.map((tensor) => tensor.name)).toEqual(["w"]);
});

test("constant outputs and inputs that are outputs belong to the last range", () => {
  const odd = parseModel(
    buildModel({
      nodes: [constantFloats("k", [1]), node("Abs", ["x"], ["a"]), node("Neg", ["a"], ["y"])],
      inputs: [value("x", [2, 3])],
      outputs: [value("k"), value("x", [2, 3]), value("y", [2, 3]), value("w")],
      initializers: [floats("w", [1])],
    }),
  );
  const first = extractSubModel(odd, { firstLayer: 0, lastLayer: 1 }, measured("a"));
  const last = extractSubModel(odd, { firstLayer: 2, lastLayer: 2 }, measured("a"));
  expect(first.outputs).toEqual(["a"]);
  expect([last.inputs, last.outputs]).toEqual([
    ["x", "a"],
    ["k", "x", "y", "w"],
  ]);
});

test("initializers that are listed as inputs stay listed, as IR version 3 demands", () => {
  const old = parseModel(
    buildModel({
      irVersion: 3,
      opset: 8,
      nodes: [node("Add", ["x", "w"], ["y"])],
      inputs: [value("x", [2, 3]), value("w", [3])],
      outputs: [value("y", [2, 3])],
      initializers: [floats("w", [1, 2, 3])],
    }),
  );
  const part = extractSubModel(old, { firstLayer: 0, lastLayer: 0 }, new Map());
  expect(part.inputs).toEqual(["x"]);
  expect(graphOf(part.bytes).input.map((input) => input.name)).toEqual(["x", "w"]);
});

test("extra outputs are added once and change nothing else", () => {
  const outputs = graphOf(withExtraOutputs(model, ["a", "y", "a"])).output;
  expect(outputs.map((output) => output.name)).toEqual(["y", "a"]);
  expect(encode(model.proto)).toEqual(encode(sample));
});
