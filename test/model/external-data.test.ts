import { expect, test } from "vitest";
import { inlineExternalData, type OnnxModel, parseModel } from "../../src/model/index.js";
import {
  buildModel,
  encode,
  externalFloats,
  graphAttribute,
  node,
  onnxGraph,
  tensorAttribute,
  value,
} from "../support/onnx-builder.js";

const file = new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer);
const read = (_location: string, offset: number, length: number | undefined): Uint8Array =>
  file.subarray(offset, length === undefined ? undefined : offset + length);

function modelWith(entries: Readonly<Record<string, string>>, shape = [2]): Uint8Array {
  return buildModel({
    nodes: [node("Add", ["x", "w"], ["y"])],
    inputs: [value("x", [2])],
    outputs: [value("y", [2])],
    initializers: [externalFloats("w", shape, entries)],
  });
}

const floatsOf = (bytes: Uint8Array | undefined): number[] => [
  ...new Float32Array((bytes ?? new Uint8Array()).slice().buffer),
];

function refusal(code: string, reason: string): unknown {
  const message: unknown = expect.stringContaining(reason);
  return expect.objectContaining({ code, message });
}

test("weights come inside and the given model stays as it was", () => {
  const model = parseModel(modelWith({ location: "sub/w.bin", offset: "4", length: "8" }));
  const before = encode(model.proto);
  expect(model.externalFiles).toEqual(["sub/w.bin"]);
  const inlined: OnnxModel = parseModel(encode(inlineExternalData(model, read).proto));
  expect(inlined.externalFiles).toEqual([]);
  const weights = inlined.graph.initializer[0];
  expect(floatsOf(weights?.rawData)).toEqual([2, 3]);
  expect([weights?.dataLocation, weights?.externalData]).toEqual([undefined, []]);
  expect(encode(model.proto)).toEqual(before);
});

test("without a length the tensor's shape tells it", () => {
  const model = parseModel(modelWith({ location: "w.bin", offset: "8" }));
  expect(floatsOf(inlineExternalData(model, read).graph.initializer[0]?.rawData)).toEqual([3, 4]);
});

test("tensors in attributes and sub-graphs are inlined, too", () => {
  const inside = tensorAttribute("value", externalFloats("k", [2], { location: "k.bin" }));
  const branch = onnxGraph({
    nodes: [node("Constant", [], ["z"], { attributes: [inside] })],
    outputs: [value("z", [2])],
  });
  const model = parseModel(
    buildModel({
      nodes: [node("If", ["x"], ["y"], { attributes: [graphAttribute("then_branch", branch)] })],
      inputs: [value("x", [], "bool")],
      outputs: [value("y", [2])],
    }),
  );
  expect(model.externalFiles).toEqual(["k.bin"]);
  const inlined = inlineExternalData(model, read);
  expect(inlined.externalFiles).toEqual([]);
  const constant = inlined.graph.node[0]?.attribute[0]?.g?.node[0]?.attribute[0]?.t;
  expect(floatsOf(constant?.rawData)).toEqual([1, 2]);
});

test.each([
  ["no location", {}],
  ["an absolute path", { location: "/etc/passwd" }],
  ["a path upwards", { location: "a/../../w.bin" }],
  ["an empty part", { location: "a//w.bin" }],
  ["a backslash", { location: "..\\w.bin" }],
  ["a NUL", { location: "w.bin\u0000.txt" }],
  ["a memory address", { location: "*/_ORT_MEM_ADDR_/*", offset: "4096" }],
  ["a negative offset", { location: "w.bin", offset: "-8" }],
  ["a huge offset", { location: "w.bin", offset: "9".repeat(20) }],
  ["a length that is no number", { location: "w.bin", length: "8e0" }],
])("%s is refused when the model is read", (_name, entries) => {
  const bytes = modelWith(entries);
  expect(() => parseModel(bytes)).toThrow(refusal("MODEL_UNREADABLE", 'tensor "w"'));
});

test.each([
  [
    "a length that does not fit the shape",
    { entries: { length: "4" }, shape: [2] },
    "needs 8 bytes",
  ],
  ["an offset behind the end", { entries: { offset: "100" }, shape: [2] }, "0 are there"],
  ["a negative dimension", { entries: {}, shape: [-2] }, "dimension of -2"],
])("%s is refused when the data is read", (_name, { entries, shape }, reason) => {
  const model = parseModel(modelWith({ location: "w.bin", ...entries }, shape));
  expect(() => inlineExternalData(model, read)).toThrow(refusal("MODEL_UNREADABLE", reason));
});

test("more than protobuf can hold is refused before it is read", () => {
  const model = parseModel(modelWith({ location: "w.bin" }, [2 ** 30]));
  const neverRead = (): Uint8Array => {
    throw new Error("it was read");
  };
  expect(() => inlineExternalData(model, neverRead)).toThrow(
    refusal("MODEL_TOO_LARGE", "2146435072"),
  );
});
