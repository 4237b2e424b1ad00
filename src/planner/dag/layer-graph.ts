import { AppError } from "../../core/index.js";

/** A value that flows between layers. */
export interface LayerTensor {
  bytes: number;
  /** The layer that makes it; null for an input of the model. */
  producer: number | null;
  /** Layers that read it, each once. */
  consumers: readonly number[];
  /** Whether it is an output of the model. */
  isOutput: boolean;
}

/** A model as what its layers (or blocks of layers) read and make, in topological order. */
export interface LayerGraph {
  /** Numbers of the layers that each vertex stands for, inclusive; one layer where first is last. */
  layers: readonly { firstLayer: number; lastLayer: number }[];
  tensors: readonly LayerTensor[];
}

/** What a vertex reads and makes, by the names of values. */
export interface NamedLayer {
  firstLayer: number;
  lastLayer: number;
  inputs: readonly string[];
  outputs: readonly string[];
}

/**
 * Connects layers by the names of the values that they read and make. Values that are neither an input
 * of the model nor made by a layer (constants) are nobody's concern: every node has them.
 * Throws PROFILE_INVALID where a value that one layer sends to another has no known size.
 */
export function connectLayers(
  layers: readonly NamedLayer[],
  model: {
    inputs: readonly string[];
    outputs: readonly string[];
    bytes: ReadonlyMap<string, number>;
  },
): LayerGraph {
  const producers = new Map<string, number | null>(model.inputs.map((name) => [name, null]));
  const consumers = new Map<string, Set<number>>();
  for (const [index, layer] of layers.entries()) {
    for (const name of layer.inputs) {
      // What a vertex reads of its own making does not flow.
      if (!producers.has(name)) continue;
      consumers.set(name, (consumers.get(name) ?? new Set()).add(index));
    }
    for (const name of layer.outputs) producers.set(name, index);
  }
  const outputs = new Set(model.outputs);
  const tensors: LayerTensor[] = [];
  for (const [name, producer] of producers) {
    const readers = [...(consumers.get(name) ?? [])].filter((reader) => reader !== producer);
    if (readers.length === 0 && !outputs.has(name)) continue;
    const bytes = model.bytes.get(name);
    if (bytes === undefined) {
      throw new AppError(
        "PROFILE_INVALID",
        `the size of a value between layers is not known: ${name}`,
      );
    }
    tensors.push({ bytes, producer, consumers: readers, isOutput: outputs.has(name) });
  }
  return {
    layers: layers.map(({ firstLayer, lastLayer }) => ({ firstLayer, lastLayer })),
    tensors,
  };
}
