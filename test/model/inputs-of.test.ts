import { expect, it } from "vitest";
import { parseModel, withInputsOf } from "../../src/model/index.js";
import { buildModel, floats, node, value } from "../support/onnx-builder.js";

it("leaves out the inputs that nobody feeds, but those with an initializer", () => {
  const bytes = buildModel({
    inputs: [value("x", [1]), value("folded", [1]), value("w", [1])],
    outputs: [value("y", [1])],
    initializers: [floats("w", [2], [1])],
    nodes: [node("Mul", ["x", "w"], ["y"])],
  });
  const { graph, inputs } = parseModel(withInputsOf(bytes, new Set(["x"])));
  expect(graph.input.map(({ name }) => name)).toEqual(["x", "w"]);
  expect(inputs.map(({ name }) => name)).toEqual(["x"]);
  expect(graph.node).toHaveLength(1);
});
