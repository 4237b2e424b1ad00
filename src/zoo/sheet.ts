import assert from "node:assert/strict";
import {
  type Attribute,
  type Constant,
  elementsOf,
  type Graph,
  type GraphNode,
  type Parameter,
  type Tensor,
} from "./graph.js";
import type { Moments } from "./moments.js";

/** Gain of He et al. 2015: a convolution followed by ReLU keeps the power of its input. */
export const HE_GAIN = 2;
/** Small random biases, so that an input of zeros still reaches the end. */
export const BIAS_DEVIATION = 0.1;

export interface NodeOptions {
  readonly opType: string;
  readonly inputs: readonly string[];
  readonly shape: readonly number[];
  readonly moments: Moments;
  readonly attributes?: readonly Attribute[];
}

export interface KernelOptions {
  readonly shape: readonly number[];
  /** Without it, all axes but the first, as convolutions have it. */
  readonly fanIn?: number;
  readonly gain?: number;
}

/** What a graph under construction consists of so far. Names are unique over all of it. */
export class GraphSheet {
  readonly #nodes: GraphNode[] = [];
  readonly #parameters: Parameter[] = [];
  readonly #constants: Constant[] = [];
  readonly #names = new Set<string>();

  /** Adds an operator; its output bears its name. */
  node(name: string, { opType, inputs, shape, moments, attributes = [] }: NodeOptions): Tensor {
    this.#claim(name);
    this.#nodes.push({ name, opType, inputs, attributes, outputShape: shape });
    return { name, shape, moments };
  }

  /** Weights of variance gain / fanIn, where fanIn counts what one output sums over. */
  kernel(layer: string, options: KernelOptions): string {
    const { shape, fanIn = elementsOf(shape.slice(1)), gain = HE_GAIN } = options;
    const deviation = Math.sqrt(gain / fanIn);
    return this.parameter({
      name: `${layer}/kernel`,
      shape,
      role: "trainable",
      mean: 0,
      deviation,
    });
  }

  bias(layer: string, length: number): string {
    return this.parameter({
      name: `${layer}/bias`,
      shape: [length],
      role: "trainable",
      mean: 0,
      deviation: BIAS_DEVIATION,
    });
  }

  parameter(parameter: Parameter): string {
    this.#claim(parameter.name);
    this.#parameters.push(parameter);
    return parameter.name;
  }

  integers(name: string, values: readonly number[]): string {
    return this.#constant({ name, type: "int64", shape: [values.length], values });
  }

  /** A number of the architecture; layers that use the same name share it. */
  scalar(name: string, value: number): string {
    if (this.#constants.some((constant) => constant.name === name)) return name;
    return this.#constant({ name, type: "float32", shape: [], values: [value] });
  }

  finish(ends: Pick<Graph, "name" | "input" | "output">): Graph {
    return {
      ...ends,
      nodes: this.#nodes,
      parameters: this.#parameters,
      constants: this.#constants,
    };
  }

  #constant(constant: Constant): string {
    this.#claim(constant.name);
    this.#constants.push(constant);
    return constant.name;
  }

  #claim(name: string): void {
    assert(!this.#names.has(name), `two layers are called ${name}`);
    this.#names.add(name);
  }
}
