import type { GraphBuilder, Margins } from "../builder.js";
import type { Tensor } from "../graph.js";

/** What a cell reads: the output of the cell before it, and of the one before that. */
export interface CellInputs {
  readonly x: Tensor;
  readonly previous: Tensor;
}

interface CellOptions {
  readonly id: string;
  readonly filters: number;
}

/** The cell that keeps height and width (Zoph et al. 2017, figure 4, left). */
export function normalCell(build: GraphBuilder, inputs: CellInputs, options: CellOptions): Tensor {
  const { id, filters } = options;
  const p = adjust(build, inputs, options);
  const h = squeeze(build, inputs.x, { prefix: "normal", ...options });
  const separable = (x: Tensor, slot: string, kernel: number): Tensor =>
    separableBlock(build, x, { id: `normal_${slot}_${id}`, filters, kernel, stride: 1 });
  const average = (x: Tensor, slot: string): Tensor =>
    build.averagePool(x, { name: `normal_${slot}_${id}`, kernel: 3 });
  const add = (a: Tensor, b: Tensor, number: number): Tensor =>
    build.add(a, b, `normal_add_${number}_${id}`);

  const sums = [
    add(separable(h, "left1", 5), separable(p, "right1", 3), 1),
    add(separable(p, "left2", 5), separable(p, "right2", 3), 2),
    add(average(h, "left3"), p, 3),
    add(average(p, "left4"), average(p, "right4"), 4),
    add(separable(h, "left5", 3), h, 5),
  ];
  return build.concat([p, ...sums], `normal_concat_${id}`);
}

/** The cell that halves height and width (figure 4, right). */
export function reductionCell(
  build: GraphBuilder,
  inputs: CellInputs,
  options: CellOptions,
): Tensor {
  const { id, filters } = options;
  const p = adjust(build, inputs, options);
  const h = squeeze(build, inputs.x, { prefix: "reduction", ...options });
  const padded = build.zeroPad(h, `reduction_pad_1_${id}`, marginsOf(h, 3));
  const halving = (x: Tensor, slot: string, kernel: number): Tensor =>
    separableBlock(build, x, { id: `reduction_${slot}_${id}`, filters, kernel, stride: 2 });
  const pooling = (slot: string) =>
    ({ name: `reduction_${slot}_${id}`, kernel: 3, stride: 2, padding: "valid" }) as const;
  const add = (a: Tensor, b: Tensor, number: number): Tensor =>
    build.add(a, b, `reduction_add_${number}_${id}`);

  const x1 = add(halving(h, "left1", 5), halving(p, "right1", 7), 1);
  const x2 = add(build.maxPool(padded, pooling("left2")), halving(p, "right2", 7), 2);
  const x3 = add(build.averagePool(padded, pooling("left3")), halving(p, "right3", 5), 3);
  const averaged = build.averagePool(x1, { name: `reduction_left4_${id}`, kernel: 3 });
  const x4 = add(x2, averaged, 4);
  const left5 = { id: `reduction_left5_${id}`, filters, kernel: 3, stride: 1 } as const;
  const x5 = add(separableBlock(build, x1, left5), build.maxPool(padded, pooling("right5")), 5);
  return build.concat([x2, x3, x4, x5], `reduction_concat_${id}`);
}

/** ReLU and a 1×1 convolution to the cell's number of filters. */
function squeeze(
  build: GraphBuilder,
  x: Tensor,
  { prefix, id, filters }: CellOptions & { prefix: string },
): Tensor {
  const active = build.relu(x, `${prefix}_relu_1_${id}`);
  const name = `${prefix}_conv_1_${id}`;
  const convolved = build.conv(active, { name, filters, kernel: 1, bias: false });
  return build.batchNorm(convolved, { name: `${prefix}_bn_1_${id}` });
}

/** Brings the older input to the size of the newer one and to the cell's number of filters. */
function adjust(
  build: GraphBuilder,
  { x, previous }: CellInputs,
  { id, filters }: CellOptions,
): Tensor {
  const resized = previous.shape[2] !== x.shape[2];
  if (!resized && previous.shape[1] === filters) return previous;
  if (!resized && previous === x) return previous;
  const active = build.relu(previous, `adjust_relu_1_${id}`);
  const projected = resized
    ? halve(build, active, { id, filters })
    : build.conv(active, {
        name: `adjust_conv_projection_${id}`,
        filters,
        kernel: 1,
        bias: false,
      });
  return build.batchNorm(projected, { name: `adjust_bn_${id}` });
}

/** Every second pixel twice, the second time moved by one, each to half of the filters. */
function halve(build: GraphBuilder, x: Tensor, { id, filters }: CellOptions): Tensor {
  const path = (image: Tensor, number: number): Tensor => {
    const pooling = { kernel: 1, stride: 2, padding: "valid" } as const;
    const pooled = build.averagePool(image, {
      ...pooling,
      name: `adjust_avg_pool_${number}_${id}`,
    });
    const name = `adjust_conv_${number}_${id}`;
    return build.conv(pooled, { name, filters: filters / 2, kernel: 1, bias: false });
  };
  const padded = build.zeroPad(x, `adjust_pad_${id}`, [
    [0, 1],
    [0, 1],
  ]);
  const moved = build.crop(padded, `adjust_crop_${id}`, [
    [1, 0],
    [1, 0],
  ]);
  return build.concat([path(x, 1), path(moved, 2)], `adjust_concat_${id}`);
}

/** Twice ReLU, separable convolution, batch normalization; the first may halve the size. */
function separableBlock(
  build: GraphBuilder,
  input: Tensor,
  options: CellOptions & { kernel: number; stride: 1 | 2 },
): Tensor {
  const { id, filters, kernel, stride } = options;
  let x = build.relu(input, `separable_relu_1_${id}`);
  if (stride === 2) x = build.zeroPad(x, `separable_conv_1_pad_${id}`, marginsOf(x, kernel));
  const padding = stride === 2 ? "valid" : "same";
  x = build.separableConv(x, { name: `separable_conv_1_${id}`, filters, kernel, stride, padding });
  x = build.relu(
    build.batchNorm(x, { name: `separable_conv_1_bn_${id}` }),
    `separable_relu_2_${id}`,
  );
  x = build.separableConv(x, { name: `separable_conv_2_${id}`, filters, kernel });
  return build.batchNorm(x, { name: `separable_conv_2_bn_${id}` });
}

/** Margins that make "valid" with stride 2 do what "same" would. */
function marginsOf(x: Tensor, kernel: number): Margins {
  const half = Math.floor(kernel / 2);
  const margin = (size = 0): readonly [number, number] => [half - 1 + (size % 2), half];
  return [margin(x.shape[2]), margin(x.shape[3])];
}
