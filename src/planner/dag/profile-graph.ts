import { connectLayers, type LayerGraph } from "./layer-graph.js";

/** What a fine-grained profile tells of its blocks. */
export interface ProfiledBlocks {
  inputBytes: number;
  blocks: readonly {
    firstLayer: number;
    lastLayer: number;
    /** What crosses the cut behind the block; behind the last one, the model's outputs. */
    cutTensors: readonly { name: string; bytes: number }[];
  }[];
}

/** The names of values that a model's layers read and make. */
export interface ModelWiring {
  layers: readonly { inputs: readonly string[]; outputs: readonly string[] }[];
  inputs: readonly string[];
}

/**
 * The graph of a profile's blocks: sizes from what was seen to cross its cuts, readers from the model.
 * A value that crosses no cut although another block reads it depends on shapes alone: it is a
 * constant everywhere. Inputs that only the first block reads are taken together.
 * Throws PROFILE_INVALID where the profile is of another model.
 */
export function graphOfProfile(profile: ProfiledBlocks, wiring: ModelWiring): LayerGraph {
  const bytes = new Map<string, number>();
  for (const { cutTensors } of profile.blocks) {
    for (const tensor of cutTensors) bytes.set(tensor.name, tensor.bytes);
  }
  const crossing = wiring.inputs.filter((name) => bytes.has(name));
  const crossingBytes = crossing.reduce((sum, name) => sum + (bytes.get(name) ?? 0), 0);
  const rest = restName(bytes);
  const isKnown = (name: string): boolean => bytes.has(name);
  const blocks = profile.blocks.map(({ firstLayer, lastLayer }, index) => {
    const layers = wiring.layers.slice(firstLayer, lastLayer + 1);
    const inputs = layers.flatMap((layer) => layer.inputs.filter(isKnown));
    return {
      firstLayer,
      lastLayer,
      inputs: index === 0 ? [rest, ...inputs] : inputs,
      outputs: layers.flatMap((layer) => layer.outputs.filter(isKnown)),
    };
  });
  bytes.set(rest, Math.max(0, profile.inputBytes - crossingBytes));
  return connectLayers(blocks, {
    inputs: [rest, ...crossing],
    outputs: profile.blocks.at(-1)?.cutTensors.map(({ name }) => name) ?? [],
    bytes,
  });
}

/** A name that no value of the model has. */
function restName(taken: ReadonlyMap<string, number>): string {
  let name = "inputs";
  while (taken.has(name)) name += "'";
  return name;
}
