import { GraphBuilder } from "../builder.js";
import type { Graph, Tensor } from "../graph.js";
import { classify } from "./classifier.js";
import {
  chain,
  convUnit,
  IMAGE_SIZE,
  type InceptionBlock,
  inceptionBlock,
  type Step,
  stem,
} from "./inception-parts.js";

/** A stage of equal residual blocks: x + scale × (1×1 convolution of the joined branches). */
interface ResidualStage {
  readonly prefix: string;
  readonly blocks: number;
  readonly scale: number;
  readonly branches: readonly (readonly Step[])[];
}

const MIXED_5B: InceptionBlock = {
  name: "mixed_5b",
  branches: [
    [[96, 1]],
    [
      [48, 1],
      [64, 5],
    ],
    [
      [64, 1],
      [96, 3],
      [96, 3],
    ],
  ],
  pool: { kind: "average", filters: 64 },
};

const BLOCK_35: ResidualStage = {
  prefix: "block35",
  blocks: 10,
  scale: 0.17,
  branches: [
    [[32, 1]],
    [
      [32, 1],
      [32, 3],
    ],
    [
      [32, 1],
      [48, 3],
      [64, 3],
    ],
  ],
};

const MIXED_6A: InceptionBlock = {
  name: "mixed_6a",
  branches: [
    [[384, 3, "halve"]],
    [
      [256, 1],
      [256, 3],
      [384, 3, "halve"],
    ],
  ],
  pool: { kind: "max" },
};

const BLOCK_17: ResidualStage = {
  prefix: "block17",
  blocks: 20,
  scale: 0.1,
  branches: [
    [[192, 1]],
    [
      [128, 1],
      [160, [1, 7]],
      [192, [7, 1]],
    ],
  ],
};

const MIXED_7A: InceptionBlock = {
  name: "mixed_7a",
  branches: [
    [
      [256, 1],
      [384, 3, "halve"],
    ],
    [
      [256, 1],
      [288, 3, "halve"],
    ],
    [
      [256, 1],
      [288, 3],
      [320, 3, "halve"],
    ],
  ],
  pool: { kind: "max" },
};

const BLOCK_8: ResidualStage = {
  prefix: "block8",
  blocks: 9,
  scale: 0.2,
  branches: [
    [[192, 1]],
    [
      [192, 1],
      [224, [1, 3]],
      [256, [3, 1]],
    ],
  ],
};

/** Inception-ResNet v2 (Szegedy et al. 2016); the tenth block8 neither scales nor ends in ReLU. */
export function inceptionResnetV2(): Graph {
  const build = new GraphBuilder("inceptionresnet_v2", IMAGE_SIZE);
  let x = inceptionBlock(build, stem(build), MIXED_5B);
  x = residualStage(build, x, BLOCK_35);
  x = residualStage(build, inceptionBlock(build, x, MIXED_6A), BLOCK_17);
  x = residualStage(build, inceptionBlock(build, x, MIXED_7A), BLOCK_8);
  x = residualBlock(build, x, { ...BLOCK_8, name: "block8_10", scale: 1 });
  x = convUnit(build, x, { name: "conv_7b", filters: 1536, kernel: 1 });
  return classify(build, x, { pool: "avg_pool", dense: "predictions" });
}

function residualStage(build: GraphBuilder, input: Tensor, stage: ResidualStage): Tensor {
  let x = input;
  for (let number = 1; number <= stage.blocks; number += 1) {
    const name = `${stage.prefix}_${number}`;
    x = build.relu(residualBlock(build, x, { ...stage, name }), `${name}_ac`);
  }
  return x;
}

function residualBlock(
  build: GraphBuilder,
  x: Tensor,
  { name, scale, branches }: Pick<ResidualStage, "scale" | "branches"> & { name: string },
): Tensor {
  const outputs = branches.map((steps, index) =>
    chain(build, x, { prefix: `${name}_branch${index}`, steps }),
  );
  const joined = build.concat(outputs, `${name}_mixed`);
  const channels = x.shape[1] ?? 0;
  const residual = build.conv(joined, { name: `${name}_conv`, filters: channels, kernel: 1 });
  const scaled = scale === 1 ? residual : build.scale(residual, `${name}_scale`, scale);
  return build.add(x, scaled, name);
}
