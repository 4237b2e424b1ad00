import type { OnnxModel } from "../../src/model/index.js";

/** The definition of a cut, word by word and slowly: look from every gap at all layers before and behind. */
export function cutsByDefinition(
  model: OnnxModel,
  maxCutTensors: number,
): { after: number; names: string[] }[] {
  const inputs = model.inputs.map((input) => input.name);
  const outputs = model.outputs.map((output) => output.name);
  const isKnown = (name: string): boolean => model.shapeConstants.has(name);
  const producerOf = (name: string) => model.layers.find((layer) => layer.outputs.includes(name));
  const variesWithInput = (name: string): boolean =>
    !isKnown(name) &&
    (inputs.includes(name) || (producerOf(name)?.inputs.some(variesWithInput) ?? false));
  const leadsToOutput = (name: string): boolean =>
    !isKnown(name) &&
    (outputs.includes(name) ||
      model.layers.some(
        (layer) => layer.inputs.includes(name) && layer.outputs.some(leadsToOutput),
      ));

  const seen = new Set<string>();
  return [...model.layers.keys()].slice(0, -1).flatMap((after) => {
    const before = model.layers.slice(0, after + 1).flatMap((layer) => layer.outputs);
    const behind = model.layers
      .slice(after + 1)
      .filter((layer) => layer.outputs.some(leadsToOutput));
    const names = [...inputs, ...before]
      .filter(variesWithInput)
      .filter(
        (name) => outputs.includes(name) || behind.some((layer) => layer.inputs.includes(name)),
      )
      .sort();
    const key = JSON.stringify(names);
    const isLegal =
      names.length >= 1 &&
      names.length <= maxCutTensors &&
      names.some((name) => !inputs.includes(name)) &&
      names.some((name) => !outputs.includes(name));
    if (!isLegal || seen.has(key)) return [];
    seen.add(key);
    return [{ after, names }];
  });
}
