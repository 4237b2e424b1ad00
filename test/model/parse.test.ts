import { create, fromBinary, toBinary, type UnknownField } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { type ErrorCode, isAppError } from "../../src/core/index.js";
import { modelLimitsSchema, parseModel } from "../../src/model/index.js";
import { ModelProtoSchema } from "../../src/model/proto/onnx_pb.js";
import {
  buildModel,
  constantFloats,
  encode,
  floats,
  graphAttribute,
  node,
  onnxGraph,
  onnxModel,
  value,
} from "../support/onnx-builder.js";

const relu = { nodes: [node("Relu", ["x"], ["y"])], inputs: [value("x")], outputs: [value("y")] };
const latin = (text: string): Uint8Array => Uint8Array.from(text, (mark) => mark.charCodeAt(0));

function failureOf(bytes: Uint8Array, limits = {}): { code: ErrorCode; message: string } {
  try {
    parseModel(bytes, modelLimitsSchema.parse(limits));
  } catch (error) {
    if (isAppError(error)) return error;
    throw error;
  }
  throw new Error("it was parsed");
}

test.each([
  ["an empty file", new Uint8Array(), "empty"],
  ["a git-LFS pointer", latin("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"],
  ["a web page", latin("\n <!doctype html>"), "web page"],
  ["a zip", latin("PK\u0003\u0004abc"), "ZIP"],
  ["gzip", latin("\u001f\u008b\u0008"), "gzip"],
  ["a PNG in front of a model", latin(`\u0089PNG\r\n\u001a\n\u0000`), "PNG"],
  ["text", latin("hello, world"), "wire type 4"],
  ["a group", Uint8Array.of(0x3b, 0x3c), "wire type 3"],
  ["an overlong number", new Uint8Array(13).fill(0xff), "longer than 10"],
  ["a field beyond its message", Uint8Array.of(0x3a, 0x7f), "beyond its message"],
  ["a known field of a wrong type", Uint8Array.of(0x38, 0x01), "ModelProto.graph"],
  ["field number 0", Uint8Array.of(0x00, 0x00), "field number 0"],
  ["no IR version", encode(create(ModelProtoSchema, {})), "empty"],
  ["no graph", encode(create(ModelProtoSchema, { irVersion: 8n })), "no graph"],
  ["no outputs", buildModel({ ...relu, outputs: [] }), "no outputs"],
])("%s is refused with a reason", (_name, bytes, reason) => {
  const failure = failureOf(bytes);
  expect(failure.code).toBe("MODEL_UNREADABLE");
  expect(failure.message).toContain(reason);
});

test.each([
  [
    "an undefined tensor",
    { ...relu, nodes: [node("Add", ["x", "ghost"], ["y"])] },
    'node 0 ("Add") reads "ghost"',
  ],
  [
    "an undefined tensor in a sub-graph",
    {
      ...relu,
      nodes: [
        node("If", ["x"], ["y"], {
          attributes: [
            graphAttribute(
              "then_branch",
              onnxGraph({ nodes: [node("Neg", ["far"], ["z"])], outputs: [value("z")] }),
            ),
          ],
        }),
      ],
    },
    'node 0 ("If") reads "far"',
  ],
  [
    "a second definition",
    { ...relu, nodes: [...relu.nodes, node("Abs", ["x"], ["y"], { name: "again" })] },
    'node 1 ("Abs" "again") defines "y" a second time',
  ],
  ["a redefined input", { ...relu, nodes: [node("Abs", ["x"], ["x"])] }, 'defines "x"'],
  ["two inputs of one name", { ...relu, inputs: [value("x"), value("x")] }, "two inputs"],
  ["a cycle", { ...relu, nodes: [node("Add", ["x", "y"], ["y"])] }, "cycle"],
  [
    "a long cycle",
    { ...relu, nodes: [node("Add", ["x", "b"], ["y"]), node("Neg", ["y"], ["b"])] },
    "cycle",
  ],
  ["an output from nowhere", { ...relu, outputs: [value("z")] }, '"z"'],
])("%s is refused and named", (_name, parts, reason) => {
  const failure = failureOf(buildModel(parts));
  expect(failure.code).toBe("MODEL_UNREADABLE");
  expect(failure.message).toContain(reason);
});

test("names in messages are one bounded line", () => {
  const name = `a\nb\u001b[31m${"L".repeat(100_000)}`;
  const { message } = failureOf(buildModel({ ...relu, outputs: [value(name)] }));
  expect(message.length).toBeLessThan(300);
  expect(message).not.toMatch(/[\n\u001b]/u);
});

function nestedIfs(depth: number): Uint8Array {
  let graph = onnxGraph({ nodes: [node("Neg", ["x"], ["y"])], outputs: [value("y")] });
  for (let level = 0; level < depth; level++) {
    const branch = graphAttribute("then_branch", graph);
    graph = onnxGraph({
      nodes: [node("If", ["x"], ["y"], { attributes: [branch] })],
      outputs: [value("y")],
    });
  }
  graph.input = [value("x")];
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 8n, graph }));
}

test("24 sub-graphs in each other are read, 48 pass the limit", () => {
  expect(parseModel(nestedIfs(24)).layers[0]?.inputs).toEqual(["x"]);
  expect(failureOf(nestedIfs(48)).code).toBe("MODEL_TOO_LARGE");
});

test.each([
  ["bytes", { bytesMax: 10 }],
  ["nodes", { layersMax: 1 }],
  ["fields", { recordsMax: 10 }],
])("too many %s pass their limit", (_name, limits) => {
  const nodes = [node("Relu", ["x"], ["a"]), node("Relu", ["a"], ["y"])];
  expect(failureOf(buildModel({ ...relu, nodes }), limits).code).toBe("MODEL_TOO_LARGE");
});

test("layers out of order are put in order, others stay where they are", () => {
  const nodes = [
    node("Neg", ["b"], ["y"]),
    node("Abs", ["x"], ["a"]),
    node("Relu", ["a"], ["b"]),
    node("Exp", ["x"], ["e"]),
  ];
  const { layers } = parseModel(buildModel({ ...relu, nodes }));
  expect(layers.map((layer) => layer.opType)).toEqual(["Abs", "Relu", "Neg", "Exp"]);
  expect(layers.map((layer) => layer.index)).toEqual([0, 1, 2, 3]);
});

test("a sub-graph's captures are inputs of its layer at any depth, shadowed names are not", () => {
  const inner = onnxGraph({
    nodes: [node("Add", ["far", "own"], ["z"]), node("Add", ["z", "near"], ["w"])],
    outputs: [value("w")],
  });
  const outer = onnxGraph({
    nodes: [
      node("Neg", ["x"], ["near"]),
      node("If", ["c"], ["w2"], { attributes: [graphAttribute("then_branch", inner)] }),
    ],
    initializers: [floats("own", [1])],
    outputs: [value("w2"), value("straight")],
  });
  const { layers } = parseModel(
    buildModel({
      nodes: [node("If", ["c", ""], ["y"], { attributes: [graphAttribute("then_branch", outer)] })],
      inputs: ["c", "x", "far", "near", "own", "straight"].map((name) => value(name)),
      outputs: [value("y")],
    }),
  );
  expect(layers[0]?.inputs).toEqual(["c", "x", "far", "straight"]);
});

test("initializers listed as inputs are none, symbolic axes keep their names", () => {
  const model = parseModel(
    buildModel({
      nodes: [node("Add", ["x", "w"], ["y"])],
      inputs: [value("x", ["batch", 4]), value("w", [4])],
      outputs: [value("y", ["batch", 4])],
      initializers: [floats("w", [1, 2, 3, 4])],
    }),
  );
  expect(model.inputs).toEqual([{ name: "x", dtype: "float32", shape: ["batch", 4] }]);
  expect(model.outputs).toEqual([{ name: "y", dtype: "float32", shape: ["batch", 4] }]);
});

test("constants are what no input can change, and nothing random", () => {
  const random = node("RandomNormal", [], ["r"]);
  const model = parseModel(
    buildModel({
      nodes: [
        constantFloats("c", [1]),
        node("Add", ["c", "w"], ["d"]),
        random,
        node("Add", ["d", "r"], ["e"]),
        node("Odd", ["w"], ["f"], { domain: "unheard.of" }),
        node("Sum", ["x", "e", "f"], ["y"]),
      ],
      inputs: [value("x")],
      outputs: [value("y")],
      initializers: [floats("w", [1])],
    }),
  );
  expect([...model.constants].sort()).toEqual(["c", "d", "w"]);
});

test("weights are views on the file", () => {
  const bytes = buildModel({ ...relu, initializers: [floats("w", [1, 2, 3])] });
  const weights = parseModel(bytes).graph.initializer[0]?.rawData;
  expect(weights?.buffer).toBe(bytes.buffer);
});

const unknown: UnknownField = {
  no: 777,
  wireType: WireType.LengthDelimited,
  data: Uint8Array.of(2, 0xca, 0xfe),
};

test("unknown fields survive a round trip at every level", () => {
  const branch = onnxGraph({ nodes: [node("Neg", ["x"], ["z"])], outputs: [value("z")] });
  const attribute = graphAttribute("then_branch", branch);
  const model = onnxModel({
    nodes: [node("If", ["x"], ["y"], { attributes: [attribute] })],
    inputs: [value("x")],
    outputs: [value("y")],
    initializers: [floats("w", [1])],
  });
  const places = everyMessageIn(model);
  expect(places.length).toBeGreaterThan(12);
  for (const place of places) place.$unknown = [...(place.$unknown ?? []), unknown];
  const decoded = fromBinary(ModelProtoSchema, encode(model));
  expect(everyMessageIn(decoded).map((place) => place.$unknown?.at(-1))).toEqual(
    places.map(() => unknown),
  );
});

interface Place {
  $typeName: string;
  $unknown?: UnknownField[];
}

function everyMessageIn(part: unknown): Place[] {
  if (typeof part !== "object" || part === null || part instanceof Uint8Array) return [];
  const own = "$typeName" in part ? [part as Place] : [];
  const inside = Object.entries(part).filter(([key]) => key !== "$unknown");
  return [...own, ...inside.flatMap(([, child]) => everyMessageIn(child))];
}
