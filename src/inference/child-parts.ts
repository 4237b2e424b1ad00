import {
  extractSubModel,
  type OnnxModel,
  type SubModel,
  tensorsAcross,
  withExtraOutputs,
} from "../model/index.js";
import type { TensorInfo } from "../protocol/index.js";
import { withSession } from "./child-session.js";
import { infoOf, type Tensors } from "./child-tensors.js";
import type { ChildConfig, LayerRange } from "./messages.js";

/** What it takes to make parts of a model, and to feed them. */
export interface PartContext {
  /** The whole model, external data included. */
  bytes: Uint8Array;
  config: ChildConfig;
  feeds: Tensors;
  /** The model for the shapes of its inputs; without them, as far as sessions of the whole go. */
  bound: () => Promise<OnnxModel>;
  types: Map<string, TensorInfo>;
  outputs: readonly TensorInfo[];
}

/**
 * The range as a model of its own. A model without layers passes inputs or constants on; its one block
 * is the model itself.
 */
export async function partOf(range: LayerRange, context: PartContext): Promise<SubModel> {
  const { bytes, feeds, types, outputs } = context;
  const model = await context.bound();
  return model.layers.length === 0
    ? { bytes, inputs: [...feeds.keys()], outputs: outputs.map(({ name }) => name) }
    : extractSubModel(model, range, types);
}

/** Its inputs, and outputs of a type not known yet, as where no cut points were looked for. */
async function neededFor(
  range: LayerRange,
  { bound, feeds, types }: PartContext,
): Promise<string[]> {
  const model = await bound();
  if (model.layers.length === 0) return [...feeds.keys()];
  const { inputs, outputs } = tensorsAcross(model, range);
  return [...inputs, ...outputs.filter((name) => !types.has(name))];
}

/**
 * Adds to the table what the range needs and is not there: it comes from the whole model.
 * @returns what was missing
 */
export async function fetchMissing(
  context: PartContext,
  table: Tensors,
  range: LayerRange,
): Promise<readonly string[]> {
  const names = await neededFor(range, context);
  const missing = names.filter((name) => !table.has(name));
  if (missing.length === 0) return missing;
  const bytes = withExtraOutputs(await context.bound(), missing);
  const { config, feeds } = context;
  const fetched = await withSession(bytes, { config, optimisation: "all" }, (session) =>
    session.run(feeds, missing),
  );
  for (const [name, tensor] of fetched) {
    table.set(name, tensor);
    if (!context.types.has(name)) context.types.set(name, infoOf(name, tensor));
  }
  return missing;
}
