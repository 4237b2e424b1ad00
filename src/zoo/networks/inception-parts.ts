import type { GraphBuilder } from "../builder.js";
import type { Tensor } from "../graph.js";
import type { Window } from "../window.js";

export const IMAGE_SIZE = 299;

/** A convolution of a branch; `halve` is stride 2 without padding. */
export type Step = readonly [filters: number, kernel: Window["kernel"], halve?: "halve"];

/** Branches beside each other, and what pooling one of them starts with. */
export interface InceptionBlock {
  readonly name: string;
  readonly branches: readonly (readonly Step[])[];
  readonly pool: { readonly kind: "average"; readonly filters: number } | { readonly kind: "max" };
}

interface UnitOptions extends Window {
  readonly name: string;
  readonly filters: number;
}

/** Convolution, batch normalization without scale, ReLU. */
export function convUnit(build: GraphBuilder, x: Tensor, options: UnitOptions): Tensor {
  const { name } = options;
  const convolved = build.conv(x, { ...options, bias: false });
  return build.relu(build.batchNorm(convolved, { name: `${name}_bn`, scale: false }), `${name}_ac`);
}

/** The beginning that Inception v3 and Inception-ResNet v2 share: 299×299×3 to 35×35×192. */
export function stem(build: GraphBuilder): Tensor {
  const valid = { padding: "valid" } as const;
  let x = convUnit(build, build.input, {
    ...valid,
    name: "stem_1",
    filters: 32,
    kernel: 3,
    stride: 2,
  });
  x = convUnit(build, x, { ...valid, name: "stem_2", filters: 32, kernel: 3 });
  x = convUnit(build, x, { name: "stem_3", filters: 64, kernel: 3 });
  x = build.maxPool(x, { ...valid, name: "stem_pool_1", kernel: 3, stride: 2 });
  x = convUnit(build, x, { ...valid, name: "stem_4", filters: 80, kernel: 1 });
  x = convUnit(build, x, { ...valid, name: "stem_5", filters: 192, kernel: 3 });
  return build.maxPool(x, { ...valid, name: "stem_pool_2", kernel: 3, stride: 2 });
}

/** Convolutions one after another, named `<prefix>_<number>`. */
export function chain(
  build: GraphBuilder,
  input: Tensor,
  { prefix, steps }: { prefix: string; steps: readonly Step[] },
): Tensor {
  let x = input;
  for (const [index, [filters, kernel, halve]] of steps.entries()) {
    const window = halve === undefined ? { kernel } : { kernel, ...HALVING };
    x = convUnit(build, x, { name: `${prefix}_${index + 1}`, filters, ...window });
  }
  return x;
}

/** Branches and a pooling branch, concatenated under the name of the block. */
export function inceptionBlock(build: GraphBuilder, x: Tensor, block: InceptionBlock): Tensor {
  const { name, branches, pool } = block;
  const outputs = branches.map((steps, index) =>
    chain(build, x, { prefix: `${name}_branch${index}`, steps }),
  );
  return build.concat([...outputs, poolBranch(build, x, { name, pool })], name);
}

export function poolBranch(
  build: GraphBuilder,
  x: Tensor,
  { name, pool }: Pick<InceptionBlock, "name" | "pool">,
): Tensor {
  const pooling = { name: `${name}_pool`, kernel: 3 };
  if (pool.kind === "max") return build.maxPool(x, { ...pooling, ...HALVING });
  const averaged = build.averagePool(x, pooling);
  return convUnit(build, averaged, { name: `${name}_pool_conv`, filters: pool.filters, kernel: 1 });
}

const HALVING = { stride: 2, padding: "valid" } as const;
