import assert from "node:assert/strict";
import { type Attribute, elementsOf, type Graph, type Parameter, type Tensor } from "./graph.js";
import { type Moments, mixed, powerOf, rectified, STANDARD, summed } from "./moments.js";
import { BIAS_DEVIATION, GraphSheet, HE_GAIN, type NodeOptions } from "./sheet.js";
import { type Sliding, slide, type Window } from "./window.js";

/** Spread of gammas and of moving statistics around what they should be. */
const NORMALIZATION_SPREAD = 0.1;
const CHANNEL_AXIS: Attribute = { name: "axis", kind: "integer", value: 1 };

export interface ConvOptions extends Window {
  readonly name: string;
  readonly filters: number;
  readonly bias?: boolean;
}

export interface BatchNormOptions {
  readonly name: string;
  readonly epsilon?: number;
  /** Without a scale there is no gamma to train (`scale=False` in Keras). */
  readonly scale?: boolean;
}

/** Rows above and below, columns left and right of an image. */
export type Margins = readonly [
  readonly [top: number, bottom: number],
  readonly [left: number, right: number],
];

/**
 * Builds a network layer by layer in the vocabulary of Keras, in NCHW with batch 1. Every method
 * adds one operator (separableConv two) and returns its output. Shapes and expected moments are
 * tracked; layers are never fused or folded.
 */
export class GraphBuilder {
  readonly input: Tensor;
  readonly #name: string;
  readonly #sheet = new GraphSheet();

  constructor(name: string, imageSize: number) {
    this.#name = name;
    this.input = { name: "input", shape: [1, 3, imageSize, imageSize], moments: STANDARD };
  }

  /** The graph that computes `output`. */
  finish(output: Tensor): Graph {
    return this.#sheet.finish({ name: this.#name, input: this.input, output });
  }

  conv(x: Tensor, options: ConvOptions): Tensor {
    const { name, filters, bias = true } = options;
    const { channels, size } = imageOf(x);
    const sliding = slide(size, options);
    const kernel = this.#sheet.kernel(name, { shape: [filters, channels, ...sliding.kernel] });
    return this.#sheet.node(name, {
      opType: "Conv",
      inputs: [x.name, kernel, ...(bias ? [this.#sheet.bias(name, filters)] : [])],
      shape: [1, filters, ...sliding.outputSize],
      moments: weighted(x, { coverage: sliding.coverage, bias }),
      attributes: windowAttributes(sliding),
    });
  }

  /** One filter for each channel; no bias, as every network here has it. */
  depthwiseConv(x: Tensor, options: Window & { name: string }): Tensor {
    const { name } = options;
    const { channels, size } = imageOf(x);
    const sliding = slide(size, options);
    const kernel = this.#sheet.kernel(name, { shape: [channels, 1, ...sliding.kernel] });
    return this.#sheet.node(name, {
      opType: "Conv",
      inputs: [x.name, kernel],
      shape: [1, channels, ...sliding.outputSize],
      moments: weighted(x, { coverage: sliding.coverage, bias: false }),
      attributes: [
        ...windowAttributes(sliding),
        { name: "group", kind: "integer", value: channels },
      ],
    });
  }

  /** One layer in Keras, two operators in ONNX: depthwise, then 1×1; no bias. */
  separableConv(x: Tensor, options: Omit<ConvOptions, "bias">): Tensor {
    const { name, filters, ...window } = options;
    const depthwise = this.depthwiseConv(x, { ...window, name: `${name}/depthwise` });
    return this.conv(depthwise, { name, filters, kernel: 1, bias: false });
  }

  dense(x: Tensor, options: { name: string; units: number }): Tensor {
    return this.#gemm(x, { ...options, gain: HE_GAIN });
  }

  /** A dense layer before softmax: its outputs have variance 1, so that no class takes all. */
  logits(x: Tensor, options: { name: string; units: number }): Tensor {
    return this.#gemm(x, { ...options, gain: 1 / powerOf(x.moments) });
  }

  batchNorm(x: Tensor, { name, epsilon = 1e-3, scale = true }: BatchNormOptions): Tensor {
    const { channels } = imageOf(x);
    const { mean, variance } = x.moments;
    const spread = NORMALIZATION_SPREAD;
    const vector = (suffix: string, values: Pick<Parameter, "role" | "mean" | "deviation">) =>
      this.#sheet.parameter({ name: `${name}/${suffix}`, shape: [channels], ...values });
    const inputs = [
      x.name,
      scale
        ? vector("gamma", { role: "trainable", mean: 1, deviation: spread })
        : vector("ones", { role: "fixed", mean: 1, deviation: 0 }),
      vector("beta", { role: "trainable", mean: 0, deviation: BIAS_DEVIATION }),
      vector("moving_mean", {
        role: "statistic",
        mean,
        deviation: spread * Math.sqrt(variance),
      }),
      vector("moving_variance", {
        role: "statistic",
        mean: variance,
        deviation: spread * variance,
      }),
    ];
    const attributes = [{ name: "epsilon", kind: "float", value: epsilon }] as const;
    const { shape } = x;
    const moments = STANDARD;
    return this.#sheet.node(name, {
      opType: "BatchNormalization",
      inputs,
      shape,
      moments,
      attributes,
    });
  }

  relu(x: Tensor, name: string): Tensor {
    return this.#map(x, name, { opType: "Relu", moments: rectified(x.moments) });
  }

  relu6(x: Tensor, name: string): Tensor {
    const bounds = [this.#sheet.scalar("relu6/min", 0), this.#sheet.scalar("relu6/max", 6)];
    return this.#map(x, name, { opType: "Clip", moments: rectified(x.moments), operands: bounds });
  }

  softmax(x: Tensor, name: string): Tensor {
    const attributes = [CHANNEL_AXIS];
    return this.#map(x, name, { opType: "Softmax", moments: STANDARD, attributes });
  }

  /** Does nothing at inference, yet it is a layer of its own in Keras. */
  dropout(x: Tensor, name: string): Tensor {
    return this.#map(x, name, { opType: "Dropout" });
  }

  /** Multiplies by a number of the architecture. */
  scale(x: Tensor, name: string, factor: number): Tensor {
    const moments = summed([{ moments: x.moments, factor }]);
    const operands = [this.#sheet.scalar(`${name}/factor`, factor)];
    return this.#map(x, name, { opType: "Mul", moments, operands });
  }

  add(a: Tensor, b: Tensor, name: string): Tensor {
    assert.deepEqual(a.shape, b.shape, `${name} adds unequal shapes`);
    const moments = summed([a, b].map((term) => ({ moments: term.moments, factor: 1 })));
    return this.#map(a, name, { opType: "Add", moments, operands: [b.name] });
  }

  /** Concatenates along the channels. */
  concat(parts: readonly Tensor[], name: string): Tensor {
    const images = parts.map(imageOf);
    const size = images[0]?.size;
    assert(size !== undefined, `${name} has no parts`);
    for (const image of images) assert.deepEqual(image.size, size, `${name} joins unequal sizes`);
    const channels = images.reduce((sum, image) => sum + image.channels, 0);
    return this.#sheet.node(name, {
      opType: "Concat",
      inputs: parts.map((part) => part.name),
      shape: [1, channels, ...size],
      moments: mixed(
        parts.map((part) => ({ moments: part.moments, weight: elementsOf(part.shape) })),
      ),
      attributes: [CHANNEL_AXIS],
    });
  }

  maxPool(x: Tensor, options: Window & { name: string }): Tensor {
    return this.#pool(x, options, { opType: "MaxPool" });
  }

  /** Padding does not count in the average, as in Keras. */
  averagePool(x: Tensor, options: Window & { name: string }): Tensor {
    const attributes = [{ name: "count_include_pad", kind: "integer", value: 0 }] as const;
    return this.#pool(x, options, { opType: "AveragePool", attributes });
  }

  /** Mean over height and width, which stay as axes of length 1. */
  globalAveragePool(x: Tensor, name: string): Tensor {
    const shape = [1, imageOf(x).channels, 1, 1];
    return this.#map(x, name, { opType: "GlobalAveragePool", shape });
  }

  zeroPad(x: Tensor, name: string, [[top, bottom], [left, right]]: Margins): Tensor {
    const { channels, size } = imageOf(x);
    const pads = this.#sheet.integers(`${name}/pads`, [0, 0, top, left, 0, 0, bottom, right]);
    return this.#map(x, name, {
      opType: "Pad",
      operands: [pads],
      shape: [1, channels, size[0] + top + bottom, size[1] + left + right],
    });
  }

  /** Removes what the margins say. */
  crop(x: Tensor, name: string, [[top, bottom], [left, right]]: Margins): Tensor {
    const { channels, size } = imageOf(x);
    const [lastRow, lastColumn] = [size[0] - bottom, size[1] - right];
    return this.#map(x, name, {
      opType: "Slice",
      operands: [
        this.#sheet.integers(`${name}/starts`, [top, left]),
        this.#sheet.integers(`${name}/ends`, [lastRow, lastColumn]),
        this.#sheet.integers(`${name}/axes`, [2, 3]),
      ],
      shape: [1, channels, lastRow - top, lastColumn - left],
    });
  }

  reshape(x: Tensor, name: string, shape: readonly number[]): Tensor {
    const operands = [this.#sheet.integers(`${name}/shape`, shape)];
    return this.#map(x, name, { opType: "Reshape", operands, shape });
  }

  flatten(x: Tensor, name: string): Tensor {
    return this.#map(x, name, { opType: "Flatten", shape: [1, elementsOf(x.shape)] });
  }

  #gemm(x: Tensor, { name, units, gain }: { name: string; units: number; gain: number }): Tensor {
    const features = elementsOf(x.shape);
    const kernel = this.#sheet.kernel(name, { shape: [features, units], fanIn: features, gain });
    return this.#sheet.node(name, {
      opType: "Gemm",
      inputs: [x.name, kernel, this.#sheet.bias(name, units)],
      shape: [1, units],
      moments: weighted(x, { coverage: 1, gain, bias: true }),
    });
  }

  #pool(
    x: Tensor,
    options: Window & { name: string },
    { opType, attributes = [] }: Pick<NodeOptions, "opType" | "attributes">,
  ): Tensor {
    const { channels, size } = imageOf(x);
    const sliding = slide(size, options);
    return this.#map(x, options.name, {
      opType,
      shape: [1, channels, ...sliding.outputSize],
      attributes: [...windowAttributes(sliding), ...attributes],
    });
  }

  /** An operator on one tensor; what is not said of the output is as it was. */
  #map(
    x: Tensor,
    name: string,
    {
      operands = [],
      ...node
    }: Partial<NodeOptions> & Pick<NodeOptions, "opType"> & { operands?: readonly string[] },
  ): Tensor {
    const { shape, moments } = x;
    return this.#sheet.node(name, { shape, moments, ...node, inputs: [x.name, ...operands] });
  }
}

function windowAttributes({ kernel, strides, pads }: Sliding): Attribute[] {
  return [
    { name: "kernel_shape", kind: "integers", value: kernel },
    { name: "strides", kind: "integers", value: strides },
    { name: "pads", kind: "integers", value: pads },
  ];
}

/** Zero-mean weights leave zero-mean values; where the window hangs over the edge they are smaller. */
function weighted(
  x: Tensor,
  { coverage, gain = HE_GAIN, bias }: { coverage: number; gain?: number; bias: boolean },
): Moments {
  const variance = gain * powerOf(x.moments) * coverage;
  return { mean: 0, variance: variance + (bias ? BIAS_DEVIATION ** 2 : 0) };
}

function imageOf(x: Tensor): { channels: number; size: readonly [number, number] } {
  const [batch, channels, height, width] = x.shape;
  assert(
    batch === 1 && channels !== undefined && height !== undefined && width !== undefined,
    `${x.name} is no image`,
  );
  return { channels, size: [height, width] };
}
