import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { type CutPoint, extractSubModel, type OnnxModel, parseModel } from "../model/index.js";
import type { TensorInfo } from "../protocol/index.js";
import { DISCARDED_WEIGHTS_FILE, openSession } from "./child-session.js";
import type { ChildConfig } from "./messages.js";

interface FusionContext {
  model: OnnxModel;
  /** The whole model, external data included. */
  bytes: Uint8Array;
  types: ReadonlyMap<string, TensorInfo>;
  config: ChildConfig;
}

/** Optimising pairs of blocks takes about as long as loading the model twice; this bounds it. */
const PAIRS_BUDGET_MS = 20_000;
/** Nodes that only change the memory layout. They come and go at every cut and fuse nothing. */
const LAYOUT_OPS = new Set(["ReorderInput", "ReorderOutput"]);

export interface FusionEvidence {
  /** `afterLayer` of each cut point that splits what ONNX Runtime fuses on this machine. */
  fused: ReadonlySet<number>;
  /** Cut points that were not looked at closely before the time for it was over. */
  unexamined: number;
}

/**
 * Finds the cut points inside fusions from what ONNX Runtime's optimiser writes.
 *
 * First, at level `extended`, tensors keep their names: one that is missing lies inside a fusion.
 * The last level, `all`, fuses more (Conv+Add+activation) but renames every tensor whose memory
 * layout it changes. So each cut that is left is judged by its two neighbouring blocks: optimised
 * together they have fewer nodes than apart if, and only if, something is fused across the cut.
 * @throws AppError INFERENCE_FAILED where the optimised graph cannot be had
 */
export async function findFusedCuts(
  cuts: readonly CutPoint[],
  context: FusionContext,
): Promise<FusionEvidence> {
  const survivors = await tensorsAfterFusion(context);
  const fused = new Set<number>();
  for (const cut of cuts) {
    if (cut.tensors.some((name) => !survivors.has(name))) fused.add(cut.afterLayer);
  }
  const left = cuts.filter((cut) => !fused.has(cut.afterLayer));
  const unexamined = await judgeByNeighbours(left, fused, context);
  return { fused, unexamined };
}

async function tensorsAfterFusion(context: FusionContext): Promise<ReadonlySet<string>> {
  const optimised = await optimise(context.bytes, "extended", context.config);
  const names = new Set(optimised.inputs.map((input) => input.name));
  for (const layer of optimised.layers) {
    for (const output of layer.outputs) names.add(output);
  }
  return names;
}

/** Adds to `fused`; returns how many cuts it had no time for. */
async function judgeByNeighbours(
  cuts: readonly CutPoint[],
  fused: Set<number>,
  context: FusionContext,
): Promise<number> {
  const startedAtMs = performance.now();
  const lastLayers = [...cuts.map((cut) => cut.afterLayer), context.model.layers.length - 1];
  const count = (after: number, lastLayer: number): Promise<number> =>
    countNodes({ firstLayer: after + 1, lastLayer }, context);
  let before = -1;
  let nodesBefore: number | undefined;
  for (const [index, cut] of cuts.entries()) {
    if (performance.now() - startedAtMs > PAIRS_BUDGET_MS) return cuts.length - index;
    const behind = lastLayers[index + 1] ?? cut.afterLayer;
    nodesBefore ??= await count(before, cut.afterLayer);
    const nodesBehind = await count(cut.afterLayer, behind);
    const nodesTogether = await count(before, behind);
    if (nodesTogether < nodesBefore + nodesBehind) fused.add(cut.afterLayer);
    before = cut.afterLayer;
    nodesBefore = nodesBehind;
  }
  return 0;
}

async function countNodes(
  range: { firstLayer: number; lastLayer: number },
  context: FusionContext,
): Promise<number> {
  const part = extractSubModel(context.model, range, context.types);
  const optimised = await optimise(part.bytes, "all", context.config);
  return optimised.layers.filter((layer) => !LAYOUT_OPS.has(layer.opType)).length;
}

/** The graph that ONNX Runtime makes of a model. Its weights are dropped. */
async function optimise(
  bytes: Uint8Array,
  optimisation: "extended" | "all",
  config: ChildConfig,
): Promise<OnnxModel> {
  const directory = mkdtempSync(join(config.temporaryDirectory, "optimised-"));
  try {
    // Folded constants can be gigabytes that nobody reads: they are written to nowhere.
    symlinkSync("/dev/null", join(directory, DISCARDED_WEIGHTS_FILE));
    const optimisedModelPath = join(directory, "model.onnx");
    const session = await openSession(bytes, config, { optimisation, optimisedModelPath });
    await session.release();
    return parseModel(readFileSync(optimisedModelPath));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
