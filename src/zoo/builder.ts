import assert from "node:assert/strict";
import {
  type AttributeValue,
  type Constant,
  elementsOf,
  type Graph,
  type GraphNode,
  type Parameter,
  type Tensor,
} from "./graph.js";
import { type Moments, mixed, powerOf, rectified, STANDARD, summed } from "./moments.js";
import { slide, type Window } from "./window.js";

/** Gain of He et al. 2015: a convolution followed by ReLU keeps the power of its input. */
const HE_GAIN = 2;
/** Small random biases, so that an input of zeros still reaches the end. */
const BIAS_DEVIATION = 0.1;

export interface ConvOptions extends Window {
  readonly name: string;
  readonly filters: number;
  readonly bias?: boolean;
}

export interface DepthwiseOptions extends Window {
  readonly name: string;
  readonly bias?: boolean;
}

export interface BatchNormOptions {
  readonly name: string;
  readonly epsilon?: number;
  /** Without a scale there is no gamma to train (`scale=False` in Keras). */
  readonly scale?: boolean;
}

interface NodeOptions {
  readonly opType: string;
  readonly inputs: readonly string[];
  readonly shape: readonly number[];
  readonly moments: Moments;
  readonly attributes?: readonly (readonly [string, AttributeValue])[];
}

/**
 * Builds a network layer by layer in the vocabulary of Keras, in NCHW with batch 1. Every method
 * adds one operator (separableConv two) and returns its output. Shapes and expected moments are
 * tracked; layers are never fused or folded.
 */
export class GraphBuilder {
  readonly #name: string;
  readonly #input: Tensor;
  readonly #nodes: GraphNode[] = [];
  readonly #parameters: Parameter[] = [];
  readonly #constants: Constant[] = [];
  readonly #names = new Set<string>();

  constructor(name: string, imageSize: number) {
    this.#name = name;
    this.#input = { name: "input", shape: [1, 3, imageSize, imageSize], moments: STANDARD };
  }

  get input(): Tensor {
    return this.#input;
  }

  /** The graph that computes `output`. */
  finish(output: Tensor): Graph {
    return {
      name: this.#name,
      input: this.#input,
      output,
      nodes: this.#nodes,
      parameters: this.#parameters,
      constants: this.#constants,
    };
  }

  conv(x: Tensor, options: ConvOptions): Tensor {
    const { name, filters, bias = true } = options;
    const { channels, size } = imageOf(x);
    const sliding = slide(size, options);
    const inputs = [
      x.name,
      this.#weights(`${name}/kernel`, [filters, channels, ...sliding.kernel]),
    ];
    if (bias) inputs.push(this.#bias(`${name}/bias`, filters));
    return this.#add(name, {
      opType: "Conv",
      inputs,
      shape: [1, filters, ...sliding.outputSize],
      moments: convolved(x, { coverage: sliding.coverage, bias }),
      attributes: [
        ["kernel_shape", sliding.kernel],
        ["strides", sliding.strides],
        ["pads", sliding.pads],
      ],
    });
  }

  depthwiseConv(x: Tensor, options: DepthwiseOptions): Tensor {
    const { name, bias = false } = options;
    const { channels, size } = imageOf(x);
    const sliding = slide(size, options);
    const inputs = [x.name, this.#weights(`${name}/kernel`, [channels, 1, ...sliding.kernel])];
    if (bias) inputs.push(this.#bias(`${name}/bias`, channels));
    return this.#add(name, {
      opType: "Conv",
      inputs,
      shape: [1, channels, ...sliding.outputSize],
      moments: convolved(x, { coverage: sliding.coverage, bias }),
      attributes: [
        ["kernel_shape", sliding.kernel],
        ["strides", sliding.strides],
        ["pads", sliding.pads],
        ["group", channels],
      ],
    });
  }

  /** One layer in Keras, two operators in ONNX. No bias, as every network here has it. */
  separableConv(x: Tensor, options: Omit<ConvOptions, "bias">): Tensor {
    const { name, filters, ...window } = options;
    const depthwise = this.depthwiseConv(x, { ...window, name: `${name}/depthwise` });
    return this.conv(depthwise, { name, filters, kernel: 1, bias: false });
  }

  batchNorm(x: Tensor, { name, epsilon = 1e-3, scale = true }: BatchNormOptions): Tensor {
    const { channels } = imageOf(x);
    const { mean, variance } = x.moments;
    const deviation = Math.sqrt(variance);
    const vector = (suffix: string, values: Pick<Parameter, "role" | "mean" | "deviation">) =>
      this.#parameter({ name: `${name}/${suffix}`, shape: [channels], ...values });
    return this.#add(name, {
      opType: "BatchNormalization",
      inputs: [
        x.name,
        vector(
          "gamma",
          scale
            ? { role: "trainable", mean: 1, deviation: 0.1 }
            : { role: "fixed", mean: 1, deviation: 0 },
        ),
        vector("beta", { role: "trainable", mean: 0, deviation: BIAS_DEVIATION }),
        vector("moving_mean", { role: "statistic", mean, deviation: 0.1 * deviation }),
        vector("moving_variance", {
          role: "statistic",
          mean: variance,
          deviation: 0.1 * variance,
        }),
      ],
      shape: x.shape,
      moments: STANDARD,
      attributes: [["epsilon", epsilon]],
    });
  }

  relu(x: Tensor, name: string): Tensor {
    const moments = rectified(x.moments);
    return this.#add(name, { opType: "Relu", inputs: [x.name], shape: x.shape, moments });
  }

  relu6(x: Tensor, name: string): Tensor {
    return this.#add(name, {
      opType: "Clip",
      inputs: [x.name, this.#scalar("relu6/min", 0), this.#scalar("relu6/max", 6)],
      shape: x.shape,
      moments: rectified(x.moments),
    });
  }

  add(a: Tensor, b: Tensor, name: string): Tensor {
    assert.deepEqual(a.shape, b.shape, `${name} adds unequal shapes`);
    const moments = summed([a, b].map((term) => ({ moments: term.moments, factor: 1 })));
    return this.#add(name, { opType: "Add", inputs: [a.name, b.name], shape: a.shape, moments });
  }

  /** Multiplies by a number of the architecture. */
  scale(x: Tensor, factor: number, name: string): Tensor {
    return this.#add(name, {
      opType: "Mul",
      inputs: [x.name, this.#scalar(`${name}/factor`, factor)],
      shape: x.shape,
      moments: summed([{ moments: x.moments, factor }]),
    });
  }

  /** Concatenates along the channels. */
  concat(parts: readonly Tensor[], name: string): Tensor {
    const images = parts.map(imageOf);
    const size = images[0]?.size;
    assert(size !== undefined, `${name} has no parts`);
    for (const image of images) assert.deepEqual(image.size, size, `${name} joins unequal images`);
    const channels = images.reduce((sum, image) => sum + image.channels, 0);
    return this.#add(name, {
      opType: "Concat",
      inputs: parts.map((part) => part.name),
      shape: [1, channels, ...size],
      moments: mixed(
        parts.map((part) => ({ moments: part.moments, weight: elementsOf(part.shape) })),
      ),
      attributes: [["axis", 1]],
    });
  }

  maxPool(x: Tensor, options: Window & { name: string }): Tensor {
    return this.#pool(x, { ...options, opType: "MaxPool", attributes: [] });
  }

  /** Padding does not count in the average, as in Keras. */
  averagePool(x: Tensor, options: Window & { name: string }): Tensor {
    const attributes = [["count_include_pad", 0]] as const;
    return this.#pool(x, { ...options, opType: "AveragePool", attributes });
  }

  /** Zeros around the image: [[top, bottom], [left, right]]. */
  zeroPad(
    x: Tensor,
    name: string,
    [[top, bottom], [left, right]]: readonly [readonly [number, number], readonly [number, number]],
  ): Tensor {
    const { channels, size } = imageOf(x);
    const pads = this.#constant({
      name: `${name}/pads`,
      type: "int64",
      shape: [8],
      values: [0, 0, top, left, 0, 0, bottom, right],
    });
    return this.#add(name, {
      opType: "Pad",
      inputs: [x.name, pads],
      shape: [1, channels, size[0] + top + bottom, size[1] + left + right],
      moments: x.moments,
      attributes: [["mode", "constant"]],
    });
  }

  /** Removes rows above and columns to the left. */
  crop(x: Tensor, name: string, rows: number): Tensor {
    const { channels, size } = imageOf(x);
    const operand = (suffix: string, values: readonly number[]) =>
      this.#constant({ name: `${name}/${suffix}`, type: "int64", shape: [2], values });
    return this.#add(name, {
      opType: "Slice",
      inputs: [
        x.name,
        operand("starts", [rows, rows]),
        operand("ends", size),
        operand("axes", [2, 3]),
      ],
      shape: [1, channels, size[0] - rows, size[1] - rows],
      moments: x.moments,
    });
  }

  /** Mean over height and width; the result keeps them as axes of length 1. */
  globalAveragePool(x: Tensor, name: string): Tensor {
    const { channels } = imageOf(x);
    return this.#add(name, {
      opType: "GlobalAveragePool",
      inputs: [x.name],
      shape: [1, channels, 1, 1],
      moments: x.moments,
    });
  }

  flatten(x: Tensor, name: string): Tensor {
    return this.#add(name, {
      opType: "Flatten",
      inputs: [x.name],
      shape: [1, elementsOf(x.shape)],
      moments: x.moments,
    });
  }

  reshape(x: Tensor, name: string, shape: readonly number[]): Tensor {
    const axes = this.#constant({
      name: `${name}/shape`,
      type: "int64",
      shape: [shape.length],
      values: shape,
    });
    return this.#add(name, {
      opType: "Reshape",
      inputs: [x.name, axes],
      shape,
      moments: x.moments,
    });
  }

  /** Does nothing at inference, yet it is a layer of its own in Keras. */
  dropout(x: Tensor, name: string): Tensor {
    const { shape, moments } = x;
    return this.#add(name, { opType: "Dropout", inputs: [x.name], shape, moments });
  }

  dense(x: Tensor, { name, units }: { name: string; units: number }): Tensor {
    const features = elementsOf(x.shape);
    return this.#add(name, {
      opType: "Gemm",
      inputs: [
        x.name,
        this.#weights(`${name}/kernel`, [units, features]),
        this.#bias(`${name}/bias`, units),
      ],
      shape: [1, units],
      moments: convolved(x, { coverage: 1, bias: true }),
      attributes: [["transB", 1]],
    });
  }

  softmax(x: Tensor, name: string): Tensor {
    return this.#add(name, {
      opType: "Softmax",
      inputs: [x.name],
      shape: x.shape,
      moments: STANDARD,
      attributes: [["axis", 1]],
    });
  }

  #pool(
    x: Tensor,
    options: Window & { name: string } & Pick<NodeOptions, "opType" | "attributes">,
  ): Tensor {
    const { channels, size } = imageOf(x);
    const sliding = slide(size, options);
    return this.#add(options.name, {
      opType: options.opType,
      inputs: [x.name],
      shape: [1, channels, ...sliding.outputSize],
      moments: x.moments,
      attributes: [
        ["kernel_shape", sliding.kernel],
        ["strides", sliding.strides],
        ["pads", sliding.pads],
        ...(options.attributes ?? []),
      ],
    });
  }

  #add(name: string, { opType, inputs, shape, moments, attributes = [] }: NodeOptions): Tensor {
    this.#claim(name);
    this.#nodes.push({ name, opType, inputs, attributes, outputShape: shape });
    return { name, shape, moments };
  }

  #weights(name: string, shape: readonly [number, ...number[]]): string {
    const fanIn = elementsOf(shape) / shape[0];
    const deviation = Math.sqrt(HE_GAIN / fanIn);
    return this.#parameter({ name, shape, role: "trainable", mean: 0, deviation });
  }

  #bias(name: string, length: number): string {
    const deviation = BIAS_DEVIATION;
    return this.#parameter({ name, shape: [length], role: "trainable", mean: 0, deviation });
  }

  #parameter(parameter: Parameter): string {
    this.#claim(parameter.name);
    this.#parameters.push(parameter);
    return parameter.name;
  }

  /** Numbers of the architecture that several layers share are stored once. */
  #scalar(name: string, value: number): string {
    if (this.#names.has(name)) return name;
    return this.#constant({ name, type: "float32", shape: [], values: [value] });
  }

  #constant(constant: Constant): string {
    this.#claim(constant.name);
    this.#constants.push(constant);
    return constant.name;
  }

  #claim(name: string): void {
    assert(!this.#names.has(name), `${this.#name} has two layers called ${name}`);
    this.#names.add(name);
  }
}

/** Zero-mean weights leave zero-mean values; where the window hangs over the edge they are smaller. */
function convolved(x: Tensor, { coverage, bias }: { coverage: number; bias: boolean }): Moments {
  const variance = HE_GAIN * powerOf(x.moments) * coverage;
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
