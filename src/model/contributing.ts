import type { Layer } from "./layers.js";
import type { ValueInfo } from "./value-info.js";

/**
 * Layers that an output depends on, seen through nothing but tensors that vary: constants and
 * those that `isKnown` names end the search.
 */
export function findContributing(
  model: {
    layers: readonly Layer[];
    outputs: readonly ValueInfo[];
    constants: ReadonlySet<string>;
  },
  isKnown: (name: string) => boolean = () => false,
): Set<number> {
  const needed = new Set(model.outputs.map((output) => output.name));
  const contributing = new Set<number>();
  for (const layer of model.layers.toReversed()) {
    const isNeeded = layer.outputs.some(
      (name) => needed.has(name) && !model.constants.has(name) && !isKnown(name),
    );
    if (!isNeeded) continue;
    contributing.add(layer.index);
    for (const name of layer.inputs) needed.add(name);
  }
  return contributing;
}
