import assert from "node:assert/strict";

export type Padding = "same" | "valid";

/** A window that slides over height and width. A number stands for both axes. */
export interface Window {
  readonly kernel: number | readonly [height: number, width: number];
  readonly stride?: number;
  readonly padding?: Padding;
}

export interface Sliding {
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly outputSize: readonly [number, number];
  /** In the order of ONNX: top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
  /** Share of the window that lies on the image, averaged over all positions. */
  readonly coverage: number;
}

/**
 * Where the window stops. "same" is TensorFlow's: the output has ⌈size/stride⌉ positions, and of an
 * odd number of padded rows the greater part goes below and to the right.
 */
export function slide(size: readonly [number, number], window: Window): Sliding {
  const kernel: readonly [number, number] =
    typeof window.kernel === "number" ? [window.kernel, window.kernel] : window.kernel;
  const stride = window.stride ?? 1;
  const padding = window.padding ?? "same";
  const vertical = slideAxis(size[0], { kernel: kernel[0], stride, padding });
  const horizontal = slideAxis(size[1], { kernel: kernel[1], stride, padding });
  return {
    kernel,
    strides: [stride, stride],
    outputSize: [vertical.positions, horizontal.positions],
    pads: [vertical.before, horizontal.before, vertical.after, horizontal.after],
    coverage: vertical.coverage * horizontal.coverage,
  };
}

function slideAxis(
  size: number,
  { kernel, stride, padding }: { kernel: number; stride: number; padding: Padding },
): { positions: number; before: number; after: number; coverage: number } {
  const positions =
    padding === "same" ? Math.ceil(size / stride) : Math.floor((size - kernel) / stride) + 1;
  assert(positions >= 1, `a window of ${kernel} does not fit into ${size}`);
  const padded = padding === "same" ? Math.max((positions - 1) * stride + kernel - size, 0) : 0;
  const before = Math.floor(padded / 2);
  let covered = 0;
  for (let position = 0; position < positions; position += 1) {
    const start = position * stride - before;
    covered += Math.min(start + kernel, size) - Math.max(start, 0);
  }
  return { positions, before, after: padded - before, coverage: covered / (positions * kernel) };
}
