import { GraphBuilder } from "../builder.js";
import type { Graph, Tensor } from "../graph.js";
import { classify } from "./classifier.js";

const IMAGE_SIZE = 224;
const EXPANSION = 6;
/** Stride 2 by "valid" on an image padded below and to the right. */
const PAD_END = [
  [0, 1],
  [0, 1],
] as const;

/** Filters, number of blocks and stride of the first of them (Sandler et al. 2018, table 2). */
const STAGES = [
  [16, 1, 1],
  [24, 2, 2],
  [32, 3, 2],
  [64, 4, 2],
  [96, 3, 1],
  [160, 3, 2],
  [320, 1, 1],
] as const;

/** MobileNetV2, width 1. */
export function mobilenetV2(): Graph {
  const build = new GraphBuilder("mobilenetv2", IMAGE_SIZE);
  let x = build.zeroPad(build.input, "Conv1_pad", PAD_END);
  x = build.conv(x, {
    name: "Conv1",
    filters: 32,
    kernel: 3,
    stride: 2,
    padding: "valid",
    bias: false,
  });
  x = build.batchNorm(x, { name: "bn_Conv1" });
  x = build.relu6(x, "Conv1_relu");
  let number = 0;
  for (const [filters, blocks, firstStride] of STAGES) {
    for (let block = 0; block < blocks; block += 1) {
      x = invertedResidual(build, x, { number, filters, stride: block === 0 ? firstStride : 1 });
      number += 1;
    }
  }
  x = build.conv(x, { name: "Conv_1", filters: 1280, kernel: 1, bias: false });
  x = build.batchNorm(x, { name: "Conv_1_bn" });
  x = build.relu6(x, "out_relu");
  return classify(build, x, { pool: "global_average_pooling2d", dense: "predictions" });
}

function invertedResidual(
  build: GraphBuilder,
  input: Tensor,
  { number, filters, stride }: { number: number; filters: number; stride: 1 | 2 },
): Tensor {
  const prefix = number === 0 ? "expanded_conv" : `block_${number}`;
  const channels = input.shape[1] ?? 0;
  let x = input;
  if (number > 0) {
    const name = `${prefix}_expand`;
    x = build.conv(x, { name, filters: EXPANSION * channels, kernel: 1, bias: false });
    x = build.relu6(build.batchNorm(x, { name: `${name}_BN` }), `${name}_relu`);
  }
  if (stride === 2) x = build.zeroPad(x, `${prefix}_pad`, PAD_END);
  const name = `${prefix}_depthwise`;
  const padding = stride === 2 ? "valid" : "same";
  x = build.depthwiseConv(x, { name, kernel: 3, stride, padding });
  x = build.relu6(build.batchNorm(x, { name: `${name}_BN` }), `${name}_relu`);
  x = build.conv(x, { name: `${prefix}_project`, filters, kernel: 1, bias: false });
  x = build.batchNorm(x, { name: `${prefix}_project_BN` });
  return stride === 1 && channels === filters ? build.add(input, x, `${prefix}_add`) : x;
}
