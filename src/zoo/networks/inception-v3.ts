import { GraphBuilder } from "../builder.js";
import type { Graph, Tensor } from "../graph.js";
import { classify } from "./classifier.js";
import {
  chain,
  convUnit,
  IMAGE_SIZE,
  type InceptionBlock,
  inceptionBlock,
  poolBranch,
  stem,
} from "./inception-parts.js";

/** 35×35: 1×1, 5×5 and two 3×3 (Szegedy et al. 2015, figure 5). */
function mixed35(name: string, poolFilters: number): InceptionBlock {
  return {
    name,
    branches: [
      [[64, 1]],
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
    pool: { kind: "average", filters: poolFilters },
  };
}

/** 17×17: 7×7 factorized into 1×7 and 7×1 (figure 6). */
function mixed17(name: string, filters: number): InceptionBlock {
  return {
    name,
    branches: [
      [[192, 1]],
      [
        [filters, 1],
        [filters, [1, 7]],
        [192, [7, 1]],
      ],
      [
        [filters, 1],
        [filters, [7, 1]],
        [filters, [1, 7]],
        [filters, [7, 1]],
        [192, [1, 7]],
      ],
    ],
    pool: { kind: "average", filters: 192 },
  };
}

const BLOCKS: readonly InceptionBlock[] = [
  mixed35("mixed0", 32),
  mixed35("mixed1", 64),
  mixed35("mixed2", 64),
  {
    name: "mixed3",
    branches: [
      [[384, 3, "halve"]],
      [
        [64, 1],
        [96, 3],
        [96, 3, "halve"],
      ],
    ],
    pool: { kind: "max" },
  },
  mixed17("mixed4", 128),
  mixed17("mixed5", 160),
  mixed17("mixed6", 160),
  mixed17("mixed7", 192),
  {
    name: "mixed8",
    branches: [
      [
        [192, 1],
        [320, 3, "halve"],
      ],
      [
        [192, 1],
        [192, [1, 7]],
        [192, [7, 1]],
        [192, 3, "halve"],
      ],
    ],
    pool: { kind: "max" },
  },
];

export function inceptionV3(): Graph {
  const build = new GraphBuilder("inception_v3", IMAGE_SIZE);
  let x = stem(build);
  for (const block of BLOCKS) x = inceptionBlock(build, x, block);
  x = mixed8(build, x, "mixed9");
  x = mixed8(build, x, "mixed10");
  return classify(build, x, { pool: "avg_pool", dense: "predictions" });
}

/** 8×8: branches that end in 1×3 and 3×1 beside each other (figure 7). */
function mixed8(build: GraphBuilder, x: Tensor, name: string): Tensor {
  const split = (stem: Tensor, prefix: string): Tensor => {
    const wide = convUnit(build, stem, { name: `${prefix}_1x3`, filters: 384, kernel: [1, 3] });
    const high = convUnit(build, stem, { name: `${prefix}_3x1`, filters: 384, kernel: [3, 1] });
    return build.concat([wide, high], prefix);
  };
  const plain = convUnit(build, x, { name: `${name}_branch0`, filters: 320, kernel: 1 });
  const single = chain(build, x, { prefix: `${name}_branch1`, steps: [[384, 1]] });
  const double = chain(build, x, {
    prefix: `${name}_branch2`,
    steps: [
      [448, 1],
      [384, 3],
    ],
  });
  const pooled = poolBranch(build, x, { name, pool: { kind: "average", filters: 192 } });
  const branches = [split(single, `${name}_branch1`), split(double, `${name}_branch2`)];
  return build.concat([plain, ...branches, pooled], name);
}
