import { GraphBuilder } from "../builder.js";
import type { Graph, Tensor } from "../graph.js";
import { classify } from "./classifier.js";

const IMAGE_SIZE = 224;
const EPSILON = 1.001e-5;

/** Bottleneck blocks in each of the four stages (He et al. 2015, table 1). */
const STAGES = {
  resnet50: [3, 4, 6, 3],
  resnet101: [3, 4, 23, 3],
  resnet152: [3, 8, 36, 3],
} as const;

/** ResNet v1 as in Keras: convolutions have a bias, and a stage's stride is in its first 1×1. */
export function resnet(name: keyof typeof STAGES): Graph {
  const build = new GraphBuilder(name, IMAGE_SIZE);
  let x = build.zeroPad(build.input, "conv1_pad", [
    [3, 3],
    [3, 3],
  ]);
  x = build.conv(x, { name: "conv1_conv", filters: 64, kernel: 7, stride: 2, padding: "valid" });
  x = build.batchNorm(x, { name: "conv1_bn", epsilon: EPSILON });
  x = build.relu(x, "conv1_relu");
  x = build.zeroPad(x, "pool1_pad", [
    [1, 1],
    [1, 1],
  ]);
  x = build.maxPool(x, { name: "pool1_pool", kernel: 3, stride: 2, padding: "valid" });
  for (const [stage, blocks] of STAGES[name].entries()) {
    for (let number = 1; number <= blocks; number += 1) {
      x = bottleneck(build, x, {
        name: `conv${stage + 2}_block${number}`,
        filters: 64 * 2 ** stage,
        stride: stage > 0 && number === 1 ? 2 : 1,
        projects: number === 1,
      });
    }
  }
  return classify(build, x, { pool: "avg_pool", dense: "predictions" });
}

interface BlockOptions {
  readonly name: string;
  readonly filters: number;
  readonly stride: number;
  /** The first block of a stage has a 1×1 convolution in its shortcut. */
  readonly projects: boolean;
}

function bottleneck(build: GraphBuilder, input: Tensor, options: BlockOptions): Tensor {
  const { name, filters, stride, projects } = options;
  const normalize = (x: Tensor, layer: number): Tensor =>
    build.batchNorm(x, { name: `${name}_${layer}_bn`, epsilon: EPSILON });

  let shortcut = input;
  if (projects) {
    const projection = { name: `${name}_0_conv`, filters: 4 * filters, kernel: 1, stride };
    shortcut = normalize(build.conv(input, projection), 0);
  }
  let x = build.conv(input, { name: `${name}_1_conv`, filters, kernel: 1, stride });
  x = build.relu(normalize(x, 1), `${name}_1_relu`);
  x = build.conv(x, { name: `${name}_2_conv`, filters, kernel: 3 });
  x = build.relu(normalize(x, 2), `${name}_2_relu`);
  x = build.conv(x, { name: `${name}_3_conv`, filters: 4 * filters, kernel: 1 });
  x = build.add(shortcut, normalize(x, 3), `${name}_add`);
  return build.relu(x, `${name}_out`);
}
