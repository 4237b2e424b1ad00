import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findCutPoints, parseModel } from "../../src/model/index.js";
import {
  buildModel,
  countParameters,
  describeModel,
  MODEL_NAMES,
  type ModelName,
} from "../../src/zoo/index.js";
import { describeWithData } from "../support/data.js";

/** Total and non-trainable parameters, as `summary()` of Keras prints them. */
const PARAMETERS: readonly (readonly [ModelName, total: number, nonTrainable: number])[] = [
  ["vgg16", 138_357_544, 0],
  ["vgg19", 143_667_240, 0],
  ["resnet50", 25_636_712, 53_120],
  ["resnet101", 44_707_176, 105_344],
  ["resnet152", 60_419_944, 151_424],
  ["resnet50v2", 25_613_800, 45_440],
  ["resnet101v2", 44_675_560, 97_664],
  ["resnet152v2", 60_380_648, 143_744],
  ["inception_v3", 23_851_784, 34_432],
  ["inceptionresnet_v2", 55_873_736, 60_544],
  ["mobilenet", 4_253_864, 21_888],
  ["mobilenetv2", 3_538_984, 34_112],
  ["densenet121", 8_062_504, 83_648],
  ["densenet169", 14_307_880, 158_400],
  ["densenet201", 20_242_984, 229_056],
  ["nasnetmobile", 5_326_716, 36_738],
  ["nasnetlarge", 88_949_818, 196_668],
  ["xception", 22_910_480, 54_528],
];

describe("the zoo", () => {
  it("has the networks of the table and no other", () => {
    expect([...MODEL_NAMES].sort()).toEqual(PARAMETERS.map(([name]) => name).sort());
  });

  it.each(PARAMETERS)("%s has the parameters of Keras", (name, total, nonTrainable) => {
    const trainable = total - nonTrainable;
    expect(countParameters(describeModel(name))).toEqual({ total, trainable, nonTrainable });
  });
});

interface KerasFacts {
  models: { model: ModelName; publishedParams: number; kerasLayers: number; input: number[] }[];
}

interface MeasuredBlock {
  inputLayer: number;
  outputLayer: number;
  outputBytes: number;
}

/** Scission's sizes are those of .npy files. */
const NPY_HEADER_BYTES = 128;

describeWithData("the zoo beside published facts", (directory) => {
  const read = (file: string): unknown =>
    JSON.parse(readFileSync(join(directory, "data/scission", file), "utf8"));
  const facts = (read("keras-models.json") as KerasFacts).models;
  const measured = read("device-raspi4.json") as Record<ModelName, MeasuredBlock[]>;

  it.each(facts.map((fact) => [fact.model, fact] as const))("%s: input, layers", (name, fact) => {
    const graph = describeModel(name);
    const [height, width, channels] = fact.input;
    expect(graph.input.shape).toEqual([1, channels, height, width]);
    expect(countParameters(graph).total).toBe(fact.publishedParams);
    expect(kerasLayersOf(name)).toBe(fact.kerasLayers);
  });

  it.each(facts.map((fact) => fact.model))("%s can be cut where Scission cuts it", (name) => {
    const boundaries = measured[name].map((block) => block.outputBytes - NPY_HEADER_BYTES);
    const graph = describeModel(name);
    const bytesOf = new Map(
      graph.nodes.map((node) => [node.name, 4 * node.outputShape.reduce((a, b) => a * b, 1)]),
    );
    const model = parseModel(buildModel(name, { seed: 1, light: true }));
    const cuts = findCutPoints(model, { maxCutTensors: 1 }).map((cut) => cut.tensors[0]!);
    const ours = [...cuts, graph.output.name].map((tensor) => bytesOf.get(tensor));
    expect(missingFrom(ours, boundaries)).toEqual([]);
  });
});

/** The wanted sizes that have no counterpart when both lists are read once, in order. */
function missingFrom(sizes: readonly (number | undefined)[], wanted: readonly number[]): number[] {
  let from = 0;
  return wanted.filter((size) => {
    const found = sizes.indexOf(size, from);
    if (found >= 0) from = found + 1;
    return found < 0;
  });
}

/**
 * Operators are layers of Keras, which also counts the input, but not activations inside
 * convolutions (VGG) and dense layers, the flattening inside global pooling, the two halves of
 * a separable convolution, and the scaling that a Lambda of Inception-ResNet holds with its sum.
 */
function kerasLayersOf(name: ModelName): number {
  const { nodes } = describeModel(name);
  const inside = nodes.filter(
    (node) =>
      /_flatten$|\/depthwise$|_scale$/.test(node.name) ||
      node.name === "predictions_softmax" ||
      node.name === "fc1000_softmax" ||
      (name.startsWith("vgg") && node.opType === "Relu"),
  );
  return 1 + nodes.length - inside.length;
}
