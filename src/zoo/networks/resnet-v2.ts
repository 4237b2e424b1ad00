import { GraphBuilder } from "../builder.js";
import type { Graph, Tensor } from "../graph.js";
import { classify } from "./classifier.js";

const IMAGE_SIZE = 224;
const EPSILON = 1.001e-5;
const BORDER = [
  [1, 1],
  [1, 1],
] as const;

/** Bottleneck blocks in each of the four stages (He et al. 2015, table 1). */
const STAGES = {
  resnet50v2: [3, 4, 6, 3],
  resnet101v2: [3, 4, 23, 3],
  resnet152v2: [3, 8, 36, 3],
} as const;

/**
 * ResNet v2 (He et al. 2016: normalization and ReLU before the convolutions) as in Keras: the
 * stride of a stage is in the 3×3 of its last block, and the last stage has none.
 */
export function resnetV2(name: keyof typeof STAGES): Graph {
  const build = new GraphBuilder(name, IMAGE_SIZE);
  let x = build.zeroPad(build.input, "conv1_pad", [
    [3, 3],
    [3, 3],
  ]);
  x = build.conv(x, { name: "conv1_conv", filters: 64, kernel: 7, stride: 2, padding: "valid" });
  x = build.zeroPad(x, "pool1_pad", BORDER);
  x = build.maxPool(x, { name: "pool1_pool", kernel: 3, stride: 2, padding: "valid" });
  const stages = STAGES[name];
  for (const [stage, blocks] of stages.entries()) {
    for (let number = 1; number <= blocks; number += 1) {
      x = bottleneck(build, x, {
        name: `conv${stage + 2}_block${number}`,
        filters: 64 * 2 ** stage,
        stride: stage < stages.length - 1 && number === blocks ? 2 : 1,
        projects: number === 1,
      });
    }
  }
  x = build.relu(build.batchNorm(x, { name: "post_bn", epsilon: EPSILON }), "post_relu");
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
  const { name, filters, stride } = options;
  const activate = (x: Tensor, layer: string): Tensor => {
    const normalized = build.batchNorm(x, { name: `${name}_${layer}_bn`, epsilon: EPSILON });
    return build.relu(normalized, `${name}_${layer}_relu`);
  };
  const preact = activate(input, "preact");
  const shortcut = shortcutOf(build, { input, preact }, options);
  let x = build.conv(preact, { name: `${name}_1_conv`, filters, kernel: 1, bias: false });
  x = build.zeroPad(activate(x, "1"), `${name}_2_pad`, BORDER);
  x = build.conv(x, {
    name: `${name}_2_conv`,
    filters,
    kernel: 3,
    stride,
    padding: "valid",
    bias: false,
  });
  x = build.conv(activate(x, "2"), { name: `${name}_3_conv`, filters: 4 * filters, kernel: 1 });
  return build.add(shortcut, x, `${name}_out`);
}

function shortcutOf(
  build: GraphBuilder,
  { input, preact }: { input: Tensor; preact: Tensor },
  { name, filters, stride, projects }: BlockOptions,
): Tensor {
  if (projects) {
    return build.conv(preact, { name: `${name}_0_conv`, filters: 4 * filters, kernel: 1, stride });
  }
  if (stride === 1) return input;
  return build.maxPool(input, { name: `${name}_0_pool`, kernel: 1, stride, padding: "valid" });
}
