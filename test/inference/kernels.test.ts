import { describe, expect, it } from "vitest";
import { mapKernels } from "../../src/inference/kernel-map.js";
import { readKernelTimes } from "../../src/inference/kernel-times.js";
import { type OnnxModel, parseModel } from "../../src/model/index.js";
import { buildModel, node, value } from "../support/onnx-builder.js";

/** A graph of [operator, name, inputs, outputs]. */
function graph(
  nodes: readonly [string, string, string[], string[]][],
  outputs: string[] = ["y"],
): OnnxModel {
  return parseModel(
    buildModel({
      inputs: [value("x", [1])],
      outputs: outputs.map((name) => value(name, [1])),
      nodes: nodes.map(([op, name, inputs, results]) => node(op, inputs, results, { name })),
    }),
  );
}

describe("mapKernels", () => {
  it("finds the block of each kernel although the optimiser renamed the tensors", () => {
    const run = graph([
      ["Conv", "k1", ["x"], ["reorder-1"]],
      ["Conv", "k2", ["reorder-1"], ["reorder-2"]],
      ["Conv", "k3", ["reorder-2"], ["reorder-3"]],
      ["ReorderOutput", "last", ["reorder-3"], ["y"]],
    ]);
    const split = graph(
      [
        ["Conv", "k1", ["x"], ["r1"]],
        ["ReorderOutput", "o1", ["r1"], ["a"]],
        ["Conv", "k2", ["r1"], ["r2"]],
        ["ReorderOutput", "o2", ["r2"], ["b"]],
        ["Conv", "k3", ["r2"], ["r3"]],
        ["ReorderOutput", "o3", ["r3"], ["y"]],
      ],
      ["y", "a", "b"],
    );
    const blocks = mapKernels(run, split, [["a"], ["b"]]);
    expect(Object.fromEntries(blocks!)).toEqual({ k1: 0, k2: 1, k3: 2, last: 2 });
  });

  it("follows dependence, not the order of the file, across a cut of two tensors", () => {
    const nodes: [string, string, string[], string[]][] = [
      ["Sin", "left", ["x"], ["a"]],
      ["Cos", "after-left", ["a"], ["c"]],
      ["Sin", "right", ["x"], ["b"]],
      ["Add", "join", ["b", "c"], ["y"]],
    ];
    const blocks = mapKernels(graph(nodes), graph(nodes, ["y", "a", "b"]), [["a", "b"]]);
    expect(Object.fromEntries(blocks!)).toEqual({ left: 0, "after-left": 1, right: 0, join: 1 });
  });

  it.each([
    ["a cut tensor that is gone", [["Sin", "k1", ["x"], ["y"]]], [["Sin", "k1", ["x"], ["y"]]]],
    [
      "a kernel that the other graph lacks",
      [["Sin", "k9", ["x"], ["y"]]],
      [
        ["Sin", "k1", ["x"], ["a"]],
        ["Cos", "k2", ["a"], ["y"]],
      ],
    ],
    [
      "two kernels of one name",
      [["Sin", "k1", ["x"], ["y"]]],
      [
        ["Sin", "k1", ["x"], ["a"]],
        ["Cos", "k1", ["a"], ["y"]],
      ],
    ],
    [
      "kernels in the wrong order",
      [
        ["Cos", "k2", ["x"], ["a"]],
        ["Sin", "k1", ["a"], ["y"]],
      ],
      [
        ["Sin", "k1", ["x"], ["a"]],
        ["Cos", "k2", ["a"], ["y"]],
      ],
    ],
  ] as [string, Parameters<typeof graph>[0], Parameters<typeof graph>[0]][])(
    "gives up on %s",
    (_, run, split) => {
      expect(mapKernels(graph(run), graph(split), [["a"]])).toBeUndefined();
    },
  );
});

describe("readKernelTimes", () => {
  const kernel = (name: string, dur: number) => ({ cat: "Node", name: `${name}_kernel_time`, dur });
  const names = new Set(["a", "b"]);

  it("takes the fastest run of each kernel but the cold one, without those of loop bodies", () => {
    const run = (dur: number) => ({ cat: "Session", name: "model_run", dur });
    const text = JSON.stringify([
      ...[kernel("a", 100), kernel("b", 1), kernel("inner", 3), run(2_000)],
      ...[kernel("a", 2_000), kernel("b", 50), run(4_100)],
      ...[kernel("a", 1_500), kernel("b", 70), run(9_999)],
    ]);
    const { kernelMs, covered } = readKernelTimes(text, names)!;
    expect([...kernelMs]).toEqual([
      ["a", 1.5],
      ["b", 0.05],
    ]);
    expect(covered).toBeCloseTo(0.5, 9);
  });

  it.each([["no JSON"], ["{}"], ["[]"], [JSON.stringify([kernel("a", 1)])]])(
    "has nothing to say of %s",
    (text) => {
      expect(readKernelTimes(text, names)).toBeUndefined();
    },
  );
});
