import { GraphBuilder } from "../builder.js";
import type { Graph } from "../graph.js";
import { CLASSES } from "./classifier.js";

const IMAGE_SIZE = 224;

/** Filters and number of 3×3 convolutions of each block (Simonyan and Zisserman 2014, table 1). */
const BLOCKS = {
  vgg16: [
    [64, 2],
    [128, 2],
    [256, 3],
    [512, 3],
    [512, 3],
  ],
  vgg19: [
    [64, 2],
    [128, 2],
    [256, 4],
    [512, 4],
    [512, 4],
  ],
} as const;

export function vgg(name: keyof typeof BLOCKS): Graph {
  const build = new GraphBuilder(name, IMAGE_SIZE);
  let x = build.input;
  for (const [block, [filters, convolutions]] of BLOCKS[name].entries()) {
    const prefix = `block${block + 1}`;
    for (let number = 1; number <= convolutions; number += 1) {
      x = build.conv(x, { name: `${prefix}_conv${number}`, filters, kernel: 3 });
      x = build.relu(x, `${prefix}_conv${number}_relu`);
    }
    x = build.maxPool(x, { name: `${prefix}_pool`, kernel: 2, stride: 2, padding: "valid" });
  }
  x = build.flatten(x, "flatten");
  for (const layer of ["fc1", "fc2"]) {
    x = build.dense(x, { name: layer, units: 4096 });
    x = build.relu(x, `${layer}_relu`);
  }
  x = build.logits(x, { name: "predictions", units: CLASSES });
  return build.finish(build.softmax(x, "predictions_softmax"));
}
