import { GraphBuilder } from "../builder.js";
import type { Graph, Tensor } from "../graph.js";
import { classify } from "./classifier.js";

const IMAGE_SIZE = 299;
const MIDDLE_BLOCKS = 8;

/** Xception (Chollet 2016, figure 5): entry flow, eight equal middle blocks, exit flow. */
export function xception(): Graph {
  const build = new GraphBuilder("xception", IMAGE_SIZE);
  const stem = { kernel: 3, padding: "valid", bias: false } as const;
  let x = build.conv(build.input, { ...stem, name: "block1_conv1", filters: 32, stride: 2 });
  x = activate(build, x, "block1_conv1");
  x = build.conv(x, { ...stem, name: "block1_conv2", filters: 64 });
  x = activate(build, x, "block1_conv2");
  x = reducingBlock(build, x, { name: "block2", filters: [128, 128], startsWithRelu: false });
  x = reducingBlock(build, x, { name: "block3", filters: [256, 256] });
  x = reducingBlock(build, x, { name: "block4", filters: [728, 728] });
  for (let number = 5; number < 5 + MIDDLE_BLOCKS; number += 1) {
    x = middleBlock(build, x, `block${number}`);
  }
  x = reducingBlock(build, x, { name: "block13", filters: [728, 1024] });
  for (const [index, filters] of [1536, 2048].entries()) {
    const name = `block14_sepconv${index + 1}`;
    x = activate(build, build.separableConv(x, { name, filters, kernel: 3 }), name);
  }
  return classify(build, x, { pool: "avg_pool", dense: "predictions" });
}

interface ReducingOptions {
  readonly name: string;
  readonly filters: readonly [number, number];
  /** The first block follows a ReLU already. */
  readonly startsWithRelu?: boolean;
}

/** Two separable convolutions and a pooling beside a strided 1×1 convolution. */
function reducingBlock(build: GraphBuilder, input: Tensor, options: ReducingOptions): Tensor {
  const { name, filters, startsWithRelu = true } = options;
  const shortcut = { name: `${name}_shortcut`, filters: filters[1], kernel: 1, stride: 2 };
  let residual = build.conv(input, { ...shortcut, bias: false });
  residual = build.batchNorm(residual, { name: `${name}_shortcut_bn` });
  let x = startsWithRelu ? build.relu(input, `${name}_sepconv1_act`) : input;
  x = normalizedSeparable(build, x, { name: `${name}_sepconv1`, filters: filters[0] });
  x = build.relu(x, `${name}_sepconv2_act`);
  x = normalizedSeparable(build, x, { name: `${name}_sepconv2`, filters: filters[1] });
  x = build.maxPool(x, { name: `${name}_pool`, kernel: 3, stride: 2 });
  return build.add(x, residual, `${name}_add`);
}

function middleBlock(build: GraphBuilder, input: Tensor, name: string): Tensor {
  let x = input;
  for (let number = 1; number <= 3; number += 1) {
    x = build.relu(x, `${name}_sepconv${number}_act`);
    x = normalizedSeparable(build, x, { name: `${name}_sepconv${number}`, filters: 728 });
  }
  return build.add(x, input, `${name}_add`);
}

function normalizedSeparable(
  build: GraphBuilder,
  x: Tensor,
  { name, filters }: { name: string; filters: number },
): Tensor {
  const separable = build.separableConv(x, { name, filters, kernel: 3 });
  return build.batchNorm(separable, { name: `${name}_bn` });
}

function activate(build: GraphBuilder, x: Tensor, name: string): Tensor {
  return build.relu(build.batchNorm(x, { name: `${name}_bn` }), `${name}_act`);
}
