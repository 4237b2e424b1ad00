import { GraphBuilder } from "../builder.js";
import type { Graph, Tensor } from "../graph.js";
import { classify } from "./classifier.js";

const IMAGE_SIZE = 224;
const EPSILON = 1.001e-5;
const GROWTH = 32;

/** Layers of each dense block (Huang et al. 2016, table 1). */
const BLOCKS = {
  densenet121: [6, 12, 24, 16],
  densenet169: [6, 12, 32, 32],
  densenet201: [6, 12, 48, 32],
} as const;

export function densenet(name: keyof typeof BLOCKS): Graph {
  const build = new GraphBuilder(name, IMAGE_SIZE);
  let x = build.zeroPad(build.input, "zero_padding2d", [
    [3, 3],
    [3, 3],
  ]);
  const stem = { name: "conv1/conv", filters: 64, kernel: 7, stride: 2, bias: false } as const;
  x = build.conv(x, { ...stem, padding: "valid" });
  x = activate(build, x, "conv1/");
  x = build.zeroPad(x, "zero_padding2d_1", [
    [1, 1],
    [1, 1],
  ]);
  x = build.maxPool(x, { name: "pool1", kernel: 3, stride: 2, padding: "valid" });
  for (const [index, layers] of BLOCKS[name].entries()) {
    if (index > 0) x = transition(build, x, `pool${index + 1}`);
    for (let layer = 1; layer <= layers; layer += 1) {
      x = denseLayer(build, x, `conv${index + 2}_block${layer}`);
    }
  }
  return classify(build, activate(build, x, ""), { pool: "avg_pool", dense: "fc1000" });
}

/** Each layer adds GROWTH channels to all that came before it. */
function denseLayer(build: GraphBuilder, input: Tensor, name: string): Tensor {
  let x = activate(build, input, `${name}_0_`);
  x = build.conv(x, { name: `${name}_1_conv`, filters: 4 * GROWTH, kernel: 1, bias: false });
  x = activate(build, x, `${name}_1_`);
  x = build.conv(x, { name: `${name}_2_conv`, filters: GROWTH, kernel: 3, bias: false });
  return build.concat([input, x], `${name}_concat`);
}

/** Halves channels, height and width. */
function transition(build: GraphBuilder, input: Tensor, name: string): Tensor {
  const filters = (input.shape[1] ?? 0) / 2;
  let x = activate(build, input, `${name}_`);
  x = build.conv(x, { name: `${name}_conv`, filters, kernel: 1, bias: false });
  return build.averagePool(x, { name: `${name}_pool`, kernel: 2, stride: 2, padding: "valid" });
}

function activate(build: GraphBuilder, x: Tensor, prefix: string): Tensor {
  return build.relu(build.batchNorm(x, { name: `${prefix}bn`, epsilon: EPSILON }), `${prefix}relu`);
}
