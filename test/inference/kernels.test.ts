import { describe, expect, it } from "vitest";
import { mapKernels } from "../../src/inference/kernel-map.js";
import { blocksInOrder, blocksNamed } from "../../src/inference/child-kernels.js";
import {
  digestOfKernels,
  kernelTimesOf,
  readProfiledRuns,
} from "../../src/inference/kernel-times.js";
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

const kernel = (name: string, dur: number) => ({ cat: "Node", name: `${name}_kernel_time`, dur });
const run = (dur: number) => ({ cat: "Session", name: "model_run", dur });
const aProfile = (...events: object[]) => JSON.stringify(events);

describe("kernelTimesOf", () => {
  const names = new Set(["a", "b"]);

  it("takes the fastest run of each kernel, without those of loop bodies", () => {
    const runs = readProfiledRuns(
      aProfile(
        ...[kernel("a", 1_700), kernel("b", 90), kernel("inner", 3), run(2_000)],
        ...[kernel("a", 2_000), kernel("b", 50), run(4_100)],
        ...[kernel("a", 1_500), kernel("b", 70), run(9_999)],
      ),
    )!;
    const { kernelMs, covered } = kernelTimesOf(runs, names)!;
    expect([...kernelMs]).toEqual([
      ["a", 1.5],
      ["b", 0.05],
    ]);
    expect(covered).toBeCloseTo(0.895, 9);
  });

  it("has nothing to say where a kernel is missing", () => {
    const runs = readProfiledRuns(aProfile(kernel("a", 1), run(2)))!;
    expect(kernelTimesOf(runs, names)).toBeUndefined();
  });

  it.each([["no JSON"], ["{}"], ["[]"], [aProfile(kernel("a", 1))]])(
    "finds no run in %s",
    (text) => {
      expect(readProfiledRuns(text)).toBeUndefined();
    },
  );
});

describe("blocksInOrder", () => {
  const text = aProfile(
    ...[kernel("a", 1_000), kernel("b", 2_000), kernel("c", 4_000), run(8_000)],
    ...[kernel("a", 3_000), kernel("b", 1_000), kernel("c", 4_000), run(8_000)],
  );
  const sha256 = digestOfKernels(readProfiledRuns(text)!)!;

  it("shares the times out to the blocks as an earlier benchmark did", () => {
    const order = { sha256, blocks: [[0, 1] as const, [1, 1] as const, [0, 1] as const] };
    const blocks = order.blocks.map(([block, count]): [number, number] => [block, count]);
    expect(blocksInOrder(text, { sha256, blocks }, 2)).toEqual({
      blockMs: [5, 1],
      blockOf: new Map([
        ["a", 0],
        ["b", 1],
        ["c", 0],
      ]),
    });
  });

  it("knows kernels by their names in whatever order, but no more and no fewer of them", () => {
    const blockOf = new Map([
      ["c", 0],
      ["b", 1],
      ["a", 0],
    ]);
    expect(blocksNamed(text, blockOf, 2)).toEqual([5, 1]);
    expect(blocksNamed(text, blockOf, 1)).toBeUndefined();
    expect(blocksNamed(undefined, blockOf, 2)).toBeUndefined();
    const withoutC = new Map([...blockOf].filter(([name]) => name !== "c"));
    expect(blocksNamed(text, withoutC, 2)).toBeUndefined();
    expect(blocksNamed(text, new Map([...withoutC, ["d", 0]]), 2)).toBeUndefined();
  });

  it("gives up on other kernels, another order, too many, and blocks that are not there", () => {
    const order = {
      sha256,
      blocks: [
        [0, 2],
        [1, 1],
      ] as [number, number][],
    };
    const others = [
      aProfile(kernel("a", 1_000), kernel("b", 2_000), run(3_000)),
      aProfile(kernel("b", 1_000), kernel("a", 2_000), kernel("c", 4_000), run(8_000)),
      aProfile(kernel("a", 1_000), kernel("b", 2_000), kernel("b", 4_000), run(8_000)),
    ];
    for (const other of others) expect(blocksInOrder(other, order, 2)).toBeUndefined();
    expect(blocksInOrder(undefined, order, 2)).toBeUndefined();
    expect(blocksInOrder(text, order, 1)).toBeUndefined();
    expect(blocksInOrder(text, { sha256, blocks: [[0, 4]] }, 1)).toBeUndefined();
  });

  it("knows kernels again that another process numbered in another order", () => {
    const named = (...suffixes: string[]) =>
      aProfile(...suffixes.map((one) => kernel(`ReorderOutput${one}`, 1)), run(4));
    const digest = (profile: string) => digestOfKernels(readProfiledRuns(profile)!);
    expect(digest(named("", "_token_845"))).toBe(digest(named("_token_861", "")));
    expect(digest(named("", "_token_845"))).not.toBe(digest(named("")));
    expect(digest(aProfile(kernel("layer_1", 1), run(1)))).not.toBe(
      digest(aProfile(kernel("layer_2", 1), run(1))),
    );
  });

  it("knows no order of kernels that differ from run to run, or run twice", () => {
    const differ = aProfile(kernel("a", 1), run(1), kernel("b", 1), run(1));
    const twice = aProfile(kernel("a", 1), kernel("a", 1), run(2));
    for (const one of [differ, twice]) {
      expect(digestOfKernels(readProfiledRuns(one)!)).toBeUndefined();
    }
  });
});
