import { describe, expect, it } from "vitest";
import { outlineOf } from "../../src/model/outline.js";
import { parseModel } from "../../src/model/index.js";
import {
  buildModel,
  floats,
  graphAttribute,
  node,
  onnxGraph,
  value,
} from "../support/onnx-builder.js";

describe("outlineOf", () => {
  it("has the layers and inputs that the whole model has", () => {
    const branch = onnxGraph({
      nodes: [node("Add", ["outside", "w"], ["inside"])],
      outputs: [value("inside")],
    });
    const bytes = buildModel({
      inputs: [value("x"), value("w"), value("condition", [1], "bool")],
      initializers: [floats("w", [1])],
      nodes: [
        node("Sin", ["x"], ["outside"], { name: "sine" }),
        node("If", ["condition"], ["y"], {
          attributes: [
            graphAttribute("then_branch", branch),
            graphAttribute("else_branch", branch),
          ],
        }),
      ],
      outputs: [value("y")],
      valueInfo: [value("outside")],
    });
    const { layers, inputs } = parseModel(bytes);
    const outline = outlineOf(bytes);
    expect(outline.layers).toEqual(layers);
    expect(outline.layers[1]?.inputs).toEqual(["condition", "outside", "w"]);
    expect(outline.inputs).toEqual(inputs.map(({ name }) => ({ name })));
  });

  it("refuses what is no graph", () => {
    const bytes = buildModel({ nodes: [node("Sin", ["nothing"], ["y"])], outputs: [value("y")] });
    expect(() => outlineOf(bytes)).toThrow("nothing defines");
  });
});
