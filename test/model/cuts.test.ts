import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blocksOf, findCutPoints, parseModel } from "../../src/model/index.js";
import { cutsByDefinition } from "../support/cuts-by-definition.js";
import {
  buildModel,
  constantFloats,
  floats,
  type ModelParts,
  node,
  sequence,
  value,
} from "../support/onnx-builder.js";
import { randomGraph } from "../support/random-graph.js";

function cutsOf(parts: ModelParts, maxCutTensors = 1): string[][] {
  const model = parseModel(buildModel(parts));
  return findCutPoints(model, { maxCutTensors }).map((cut) => [...cut.tensors]);
}

const xy = { inputs: [value("x")], outputs: [value("y")] };

test("a chain can be cut at every inner tensor and at no other", () => {
  const nodes = [node("Abs", ["x"], ["a"]), node("Neg", ["a"], ["b"]), node("Exp", ["b"], ["y"])];
  expect(cutsOf({ ...xy, nodes })).toEqual([["a"], ["b"]]);
});

test("inside branches a cut takes as many tensors as cross", () => {
  const nodes = [
    node("Abs", ["x"], ["a"]),
    node("Neg", ["a"], ["b"]),
    node("Exp", ["a"], ["c"]),
    node("Add", ["b", "c"], ["d"]),
    node("Relu", ["d"], ["y"]),
  ];
  expect(cutsOf({ ...xy, nodes })).toEqual([["a"], ["d"]]);
  expect(cutsOf({ ...xy, nodes }, 2)).toEqual([["a"], ["a", "b"], ["b", "c"], ["d"]]);
});

test("a model input that is needed later crosses, too", () => {
  const nodes = [node("Abs", ["x"], ["a"]), node("Add", ["a", "x"], ["y"])];
  expect(cutsOf({ ...xy, nodes })).toEqual([]);
  expect(cutsOf({ ...xy, nodes }, 2)).toEqual([["x", "a"]]);
});

test("an output that is ready early crosses all later cuts", () => {
  const nodes = [
    node("Abs", ["x"], ["early"]),
    node("Neg", ["early"], ["b"]),
    node("Exp", ["b"], ["y"]),
  ];
  const parts = { ...xy, nodes, outputs: [value("early"), value("y")] };
  expect(cutsOf(parts)).toEqual([]);
  expect(cutsOf(parts, 2)).toEqual([["early", "b"]]);
});

test("an output that alone crosses is no cut point", () => {
  const nodes = [node("Abs", ["x"], ["early"]), node("Neg", ["early"], ["y"])];
  expect(cutsOf({ ...xy, nodes, outputs: [value("early"), value("y")] }, 5)).toEqual([]);
});

test("constants, what is computed from them, and dead ends hide no cut", () => {
  const nodes = [
    node("Abs", ["x"], ["a"]),
    constantFloats("c", [1]),
    node("Neg", ["x"], ["dead"]),
    node("Add", ["c", "w"], ["d"]),
    node("Add", ["a", "d"], ["b"]),
    node("Exp", ["dead"], ["deader"]),
    node("Mul", ["b", "d"], ["y"]),
  ];
  expect(cutsOf({ ...xy, nodes, initializers: [floats("w", [1])] })).toEqual([["a"], ["b"]]);
});

test("a sequence cannot cross", () => {
  const nodes = [
    node("Abs", ["x"], ["a"]),
    node("SequenceConstruct", ["a"], ["s"]),
    node("Identity", ["s"], ["s2"]),
    node("ConcatFromSequence", ["s2"], ["b"]),
    node("Relu", ["b"], ["y"]),
  ];
  expect(cutsOf({ ...xy, nodes })).toEqual([["a"], ["b"]]);
  const declared = [
    node("Strange", ["x"], ["s"], { domain: "odd" }),
    node("Stranger", ["s"], ["y"], { domain: "odd" }),
  ];
  expect(cutsOf({ ...xy, nodes: declared, valueInfo: [sequence("s")] })).toEqual([]);
});

test("names that JavaScript objects have are only names", () => {
  const names = ["__proto__", "constructor", "toString"];
  const nodes = names.map((name, index) => node("Neg", [names[index - 1] ?? "x"], [name]));
  nodes.push(node("Abs", ["toString"], ["y"]));
  expect(cutsOf({ ...xy, nodes })).toEqual(names.map((name) => [name]));
});

test("a model without layers has no blocks", () => {
  const model = parseModel(buildModel({ nodes: [], inputs: [value("x")], outputs: [value("x")] }));
  expect(blocksOf(model, findCutPoints(model, { maxCutTensors: 1 }))).toEqual([]);
});

test("a chain of 100 000 layers is cut in a few seconds", () => {
  const count = 100_000;
  const nodes = Array.from({ length: count }, (_, index) => {
    return node("Relu", [index === 0 ? "x" : `t${index - 1}`], [`t${index}`]);
  });
  const bytes = buildModel({ nodes, inputs: [value("x")], outputs: [value(`t${count - 1}`)] });
  const startedAtMs = performance.now();
  const model = parseModel(bytes);
  const cuts = findCutPoints(model, { maxCutTensors: 4 });
  expect(cuts).toHaveLength(count - 1);
  expect(performance.now() - startedAtMs).toBeLessThan(15_000);
});

describe("random graphs", () => {
  test("the cut points are those of the definition", () => {
    fc.assert(
      fc.property(randomGraph, fc.integer({ min: 1, max: 4 }), (parts, maxCutTensors) => {
        const model = parseModel(buildModel(parts));
        const found = findCutPoints(model, { maxCutTensors });
        const plain = found.map((cut) => ({
          after: cut.afterLayer,
          names: [...cut.tensors].sort(),
        }));
        expect(plain).toEqual(cutsByDefinition(model, maxCutTensors));
        expect(found.map((cut) => cut.index)).toEqual([...found.keys()]);
      }),
      { numRuns: 500 },
    );
  });

  test("the blocks cover every layer once", () => {
    fc.assert(
      fc.property(randomGraph, (parts) => {
        const model = parseModel(buildModel(parts));
        const blocks = blocksOf(model, findCutPoints(model, { maxCutTensors: 2 }));
        const layers = blocks.flatMap((block) => {
          const count = block.lastLayer - block.firstLayer + 1;
          return Array.from({ length: count }, (_, offset) => block.firstLayer + offset);
        });
        expect(layers).toEqual([...model.layers.keys()]);
        expect(blocks.map((block) => block.index)).toEqual([...blocks.keys()]);
      }),
    );
  });
});
