import { performance } from "node:perf_hooks";
import {
  type CutPoint,
  type GraphOutline,
  type OnnxModel,
  withExtraOutputs,
} from "../model/index.js";
import { type Optimised, optimise } from "./child-optimised.js";
import { LAYOUT_OPS } from "./kernel-map.js";
import type { ChildConfig } from "./messages.js";

interface FusionContext {
  model: OnnxModel;
  /** The whole model, external data included. */
  bytes: Uint8Array;
  config: ChildConfig;
  optimised: Optimised;
}

/** Bounds the close look at cuts that no vanished name betrays. */
const TRIALS_BUDGET_MS = 20_000;

export interface FusionEvidence {
  /** `afterLayer` of each cut point that splits what ONNX Runtime fuses on this machine. */
  fused: ReadonlySet<number>;
  /** Cut points that were not looked at closely before the time for it was over. */
  unexamined: number;
}

/**
 * Finds the cut points inside fusions from what ONNX Runtime's optimiser writes.
 *
 * At level `extended` tensors keep their names: one that is missing lies inside a fusion. The last
 * level, `all`, fuses more (Conv+Add+activation) but renames each tensor whose memory layout it
 * changes. So the cuts are tried: the model is optimised with their tensors as outputs, which they
 * can only be when nothing is fused across them. Each further node is a fusion that was prevented.
 * Where there are any, the cuts are tried in groups of those whose tensors are read by an operator
 * that became rarer on the way to `all`.
 * @throws AppError INFERENCE_FAILED where the optimised graph cannot be had
 */
export async function findFusedCuts(
  cuts: readonly CutPoint[],
  context: FusionContext,
): Promise<FusionEvidence> {
  const extended = await optimise(context.bytes, "extended", context.config);
  const survivors = tensorsOf(extended);
  const isInside = (cut: CutPoint): boolean => cut.tensors.some((name) => !survivors.has(name));
  const fused = new Set(cuts.filter(isInside).map((cut) => cut.afterLayer));
  const left = cuts.filter((cut) => !isInside(cut));
  if (left.length === 0) return { fused, unexamined: 0 };

  const all = (await context.optimised.whole()).graph;
  const nodesSplit = countNodes(await context.optimised.split(left.flatMap((cut) => cut.tensors)));
  if (nodesSplit <= countNodes(all)) return { fused, unexamined: 0 };
  const trial = { ...context, nodesWhole: countNodes(all), startedAtMs: performance.now() };
  let unexamined = 0;
  for (const suspects of groupByRarerReader(left, rarerReaders(extended, all))) {
    unexamined += await tryCuts(suspects, fused, trial);
  }
  return { fused, unexamined };
}

/**
 * Tries cuts together and halves the group until the answer is the same for all of it: none adds
 * a node, or each adds one. Adds to `fused`; returns how many cuts it had no time for.
 */
async function tryCuts(
  cuts: readonly CutPoint[],
  fused: Set<number>,
  trial: FusionContext & { nodesWhole: number; startedAtMs: number },
): Promise<number> {
  if (cuts.length === 0) return 0;
  if (performance.now() - trial.startedAtMs > TRIALS_BUDGET_MS) return cuts.length;
  const split = withExtraOutputs(
    trial.model,
    cuts.flatMap((cut) => cut.tensors),
  );
  const added = countNodes(await optimise(split, "all", trial.config)) - trial.nodesWhole;
  if (added <= 0) return 0;
  if (added === cuts.length || cuts.length === 1) {
    for (const cut of cuts) fused.add(cut.afterLayer);
    return 0;
  }
  const middle = cuts.length >> 1;
  const unexamined = await tryCuts(cuts.slice(0, middle), fused, trial);
  return unexamined + (await tryCuts(cuts.slice(middle), fused, trial));
}

function tensorsOf(model: GraphOutline): Set<string> {
  const inputs = model.inputs.map((input) => input.name);
  return new Set([...inputs, ...model.layers.flatMap((layer) => layer.outputs)]);
}

/** For each tensor of `before` the operators that read it and of which `after` has fewer. */
function rarerReaders(before: GraphOutline, after: GraphOutline): ReadonlyMap<string, string> {
  const countsBefore = countOps(before);
  const countsAfter = countOps(after);
  const readers = new Map<string, string>();
  for (const layer of before.layers) {
    const op = plainOp(layer.opType);
    if ((countsAfter.get(op) ?? 0) >= (countsBefore.get(op) ?? 0)) continue;
    for (const name of layer.inputs) readers.set(name, `${readers.get(name) ?? ""} ${op}`);
  }
  return readers;
}

/** Cuts in front of the same operators mostly share their fate, so that one trial tells it. */
function groupByRarerReader(
  cuts: readonly CutPoint[],
  readers: ReadonlyMap<string, string>,
): CutPoint[][] {
  const groups = new Map<string, CutPoint[]>();
  for (const cut of cuts) {
    const key = cut.tensors.map((name) => readers.get(name) ?? "").join(";");
    if (key.replaceAll(";", "") === "") continue;
    groups.set(key, [...(groups.get(key) ?? []), cut]);
  }
  return [...groups.values()];
}

function countOps(model: GraphOutline): Map<string, number> {
  const counts = new Map<string, number>();
  for (const layer of model.layers) {
    const op = plainOp(layer.opType);
    counts.set(op, (counts.get(op) ?? 0) + 1);
  }
  return counts;
}

/** `FusedConv` of one level is `Conv` with an attribute in the next. */
function plainOp(opType: string): string {
  return opType.replace(/^Fused/, "");
}

function countNodes(model: GraphOutline): number {
  return model.layers.filter((layer) => !LAYOUT_OPS.has(layer.opType)).length;
}
