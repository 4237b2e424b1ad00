import type { LayerGraph } from "./layer-graph.js";

/** Layers between two neighbouring joints. */
export interface Piece {
  /** The joint in front of the piece; -1 for the model's inputs. */
  from: number;
  /** The joint at its end; the number of layers where there is none. */
  to: number;
  /** Tensors that the layers from `from` up to, without, `to` make; of the first piece, also the inputs. */
  tensors: readonly number[];
}

/** What is known of a graph before any cost is. */
export interface Outline {
  /** In order. */
  pieces: readonly Piece[];
  /** [layer]: the tensor it makes where that is its only one, and all that its only reader reads; or -1. */
  rowTensor: Int32Array;
}

/**
 * Where a graph falls into pieces. A joint is a layer that every layer before it leads to, that leads
 * to every layer after it, and that no tensor passes by: which stage it runs at is all that one side
 * of it needs to know of the other.
 */
export function outlineOf(graph: LayerGraph): Outline {
  const joints = jointsOf(graph);
  const ends = [...joints, graph.layers.length];
  const tensors: number[][] = ends.map(() => []);
  const pieceOf = new Int32Array(graph.layers.length);
  for (const [index, to] of ends.entries()) {
    // What a joint makes belongs to the piece behind it.
    pieceOf.fill(index, joints[index - 1] ?? 0, to);
  }
  for (const [index, { producer }] of graph.tensors.entries()) {
    tensors[producer === null ? 0 : (pieceOf[producer] ?? 0)]?.push(index);
  }
  const pieces = ends.map((to, index) => ({
    from: joints[index - 1] ?? -1,
    to,
    tensors: tensors[index] ?? [],
  }));
  return { pieces, rowTensor: rowTensors(graph) };
}

function jointsOf({ layers, tensors }: LayerGraph): number[] {
  const count = layers.length;
  /** [layer]: the last reader of what it makes, or -1. */
  const lastReader = new Int32Array(count).fill(-1);
  const readsLayer = new Uint8Array(count);
  let reach = -1;
  for (const { producer, consumers } of tensors) {
    for (const consumer of consumers) {
      if (producer === null) reach = Math.max(reach, consumer);
      else {
        readsLayer[consumer] = 1;
        lastReader[producer] = Math.max(lastReader[producer] ?? -1, consumer);
      }
    }
  }
  // Behind the last layer that reads no other, all are led to.
  const firstLed = readsLayer.lastIndexOf(0);
  const joints: number[] = [];
  for (let layer = 0; layer < count; layer += 1) {
    if (reach <= layer && layer >= firstLed) joints.push(layer);
    const last = lastReader[layer] ?? -1;
    // What nobody reads leads to no later layer.
    if (last === -1) break;
    reach = Math.max(reach, last);
  }
  return joints;
}

function rowTensors({ layers, tensors }: LayerGraph): Int32Array {
  const made = new Int32Array(layers.length);
  const read = new Int32Array(layers.length);
  for (const { producer, consumers } of tensors) {
    if (producer !== null) made[producer] = (made[producer] ?? 0) + 1;
    for (const consumer of consumers) read[consumer] = (read[consumer] ?? 0) + 1;
  }
  const row = new Int32Array(layers.length).fill(-1);
  for (const [index, { producer, consumers, isOutput }] of tensors.entries()) {
    const [reader] = consumers;
    if (producer === null || reader === undefined || consumers.length > 1 || isOutput) continue;
    if (made[producer] === 1 && read[reader] === 1) row[producer] = index;
  }
  return row;
}
