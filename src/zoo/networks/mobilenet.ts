import { GraphBuilder } from "../builder.js";
import type { Graph, Tensor } from "../graph.js";
import { CLASSES } from "./classifier.js";

const IMAGE_SIZE = 224;

/** Stride 2 by "valid" on an image padded below and to the right. */
const PAD_END = [
  [0, 1],
  [0, 1],
] as const;

/** Filters and stride of each depthwise-separable block (Howard et al. 2017, table 1). */
const BLOCKS = [
  [64, 1],
  [128, 2],
  [128, 1],
  [256, 2],
  [256, 1],
  [512, 2],
  [512, 1],
  [512, 1],
  [512, 1],
  [512, 1],
  [512, 1],
  [1024, 2],
  [1024, 1],
] as const;

/** MobileNet v1, width 1, as in Keras: the classifier is a 1×1 convolution after dropout. */
export function mobilenet(): Graph {
  const build = new GraphBuilder("mobilenet", IMAGE_SIZE);
  let x = build.zeroPad(build.input, "conv1_pad", PAD_END);
  x = build.conv(x, {
    name: "conv1",
    filters: 32,
    kernel: 3,
    stride: 2,
    padding: "valid",
    bias: false,
  });
  x = build.batchNorm(x, { name: "conv1_bn" });
  x = build.relu6(x, "conv1_relu");
  for (const [index, [filters, stride]] of BLOCKS.entries()) {
    x = depthwiseBlock(build, x, { number: index + 1, filters, stride });
  }
  x = build.globalAveragePool(x, "global_average_pooling2d");
  x = build.reshape(x, "reshape_1", [1, 1024, 1, 1]);
  x = build.dropout(x, "dropout");
  x = build.conv(x, { name: "conv_preds", filters: CLASSES, kernel: 1 });
  x = build.reshape(x, "reshape_2", [1, CLASSES]);
  return build.finish(build.softmax(x, "act_softmax"));
}

function depthwiseBlock(
  build: GraphBuilder,
  input: Tensor,
  { number, filters, stride }: { number: number; filters: number; stride: 1 | 2 },
): Tensor {
  let x = stride === 1 ? input : build.zeroPad(input, `conv_pad_${number}`, PAD_END);
  x = build.depthwiseConv(x, {
    name: `conv_dw_${number}`,
    kernel: 3,
    stride,
    padding: stride === 1 ? "same" : "valid",
  });
  x = build.batchNorm(x, { name: `conv_dw_${number}_bn` });
  x = build.relu6(x, `conv_dw_${number}_relu`);
  x = build.conv(x, { name: `conv_pw_${number}`, filters, kernel: 1, bias: false });
  x = build.batchNorm(x, { name: `conv_pw_${number}_bn` });
  return build.relu6(x, `conv_pw_${number}_relu`);
}
