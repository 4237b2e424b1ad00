import type { Moments } from "./moments.js";

/** A value that flows through a network: NCHW (or N×features), batch 1 included. */
export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** What its elements are expected to look like; weights are scaled by it. */
  readonly moments: Moments;
}

/** A setting of an operator. ONNX tells whole numbers from others, so the kind is written down. */
export type Attribute = { readonly name: string } & (
  | { readonly kind: "integer" | "float"; readonly value: number }
  | { readonly kind: "integers"; readonly value: readonly number[] }
);

/** One operator with one output, which bears the name of the node. */
export interface GraphNode {
  readonly name: string;
  readonly opType: string;
  readonly inputs: readonly string[];
  readonly attributes: readonly Attribute[];
  readonly outputShape: readonly number[];
}

/**
 * Values that training would have made. `trainable` and `statistic` (moving mean and variance of
 * batch normalization) are what Keras counts; `fixed` is what ONNX asks for and Keras has not.
 */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly role: "trainable" | "statistic" | "fixed";
  readonly mean: number;
  readonly deviation: number;
}

/** Operands that are part of the architecture: pads, shapes, bounds. */
export interface Constant {
  readonly name: string;
  readonly type: "int64" | "float32";
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

export interface Graph {
  readonly name: string;
  readonly input: Tensor;
  readonly output: Tensor;
  readonly nodes: readonly GraphNode[];
  readonly parameters: readonly Parameter[];
  readonly constants: readonly Constant[];
}

export interface ParameterCounts {
  readonly total: number;
  readonly trainable: number;
  readonly nonTrainable: number;
}

/** Parameters as `model.summary()` of Keras counts them. */
export function countParameters(graph: Graph): ParameterCounts {
  let trainable = 0;
  let nonTrainable = 0;
  for (const { role, shape } of graph.parameters) {
    if (role === "trainable") trainable += elementsOf(shape);
    if (role === "statistic") nonTrainable += elementsOf(shape);
  }
  return { total: trainable + nonTrainable, trainable, nonTrainable };
}

export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, axis) => product * axis, 1);
}
