import type { GraphOutline } from "../model/index.js";

/** Nodes that only change the memory layout. They come and go at every cut and fuse nothing. */
export const LAYOUT_OPS: ReadonlySet<string> = new Set(["ReorderInput", "ReorderOutput"]);

/**
 * The block of each kernel, by the kernel's name.
 *
 * ONNX Runtime's optimiser renames tensors, so that the graph it runs does not tell where a cut is.
 * The graph it makes when the cut tensors are outputs does, for outputs keep their names: what a
 * cut tensor is computed from lies before the cut. A cut that splits no fusion changes nothing but
 * the memory layout, so both graphs have the same kernels under the same names.
 * @param run the optimised graph that is run
 * @param split the optimised graph of the same model with the cut tensors as outputs
 * @param cuts tensors of each cut, in order
 * @returns undefined where the two are too different for that
 */
export function mapKernels(
  run: GraphOutline,
  split: GraphOutline,
  cuts: readonly (readonly string[])[],
): ReadonlyMap<string, number> | undefined {
  const splitBlocks = blocksBetween(split, cuts);
  if (splitBlocks === undefined) return undefined;
  const byName = new Map<string, number>();
  for (const [index, layer] of split.layers.entries()) {
    if (LAYOUT_OPS.has(layer.opType)) continue;
    if (layer.name === "" || byName.has(layer.name)) return undefined;
    byName.set(layer.name, splitBlocks[index] ?? 0);
  }
  const kernels = new Map<string, number>();
  const blockOfTensor = new Map<string, number>();
  for (const layer of run.layers) {
    const earliest = Math.max(0, ...layer.inputs.map((name) => blockOfTensor.get(name) ?? 0));
    const block = LAYOUT_OPS.has(layer.opType) ? earliest : byName.get(layer.name);
    if (block === undefined || block < earliest || kernels.has(layer.name)) return undefined;
    kernels.set(layer.name, block);
    for (const name of layer.outputs) blockOfTensor.set(name, block);
  }
  return kernels;
}

/** For each layer, how many cuts lie before it. Undefined when a cut tensor is missing. */
function blocksBetween(
  model: GraphOutline,
  cuts: readonly (readonly string[])[],
): number[] | undefined {
  const producers = new Map<string, number>();
  for (const [index, layer] of model.layers.entries()) {
    for (const name of layer.outputs) producers.set(name, index);
  }
  const given = new Set(model.inputs.map((input) => input.name));
  const blocks = model.layers.map(() => cuts.length);
  for (const [cut, tensors] of cuts.entries()) {
    if (tensors.some((name) => !producers.has(name) && !given.has(name))) return undefined;
    const waiting = tensors.flatMap((name) => producers.get(name) ?? []);
    for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
      // What lies before an earlier cut has been seen with all that it depends on.
      if (blocks[index] !== cuts.length) continue;
      blocks[index] = cut;
      for (const name of model.layers[index]?.inputs ?? []) {
        const producer = producers.get(name);
        if (producer !== undefined) waiting.push(producer);
      }
    }
  }
  return blocks;
}
