import { isDeepStrictEqual } from "node:util";
import { errorMessage, printable } from "../core/index.js";
import { type CutPoint, findCutPoints, type OnnxModel } from "../model/index.js";
import type { CutPointInfo, TensorInfo } from "../protocol/index.js";
import type { Decoded } from "./child-decode.js";
import { findFusedCuts } from "./child-fusion.js";
import type { Optimised } from "./child-optimised.js";
import { fetchTensors, runOnce } from "./child-types.js";
import { infoOf, type Tensors } from "./child-tensors.js";
import type { ChildConfig, KnownModel, OpenedModel } from "./messages.js";

interface Opening {
  /** External data included. */
  complete: () => OnnxModel;
  bytes: Uint8Array;
  feeds: Tensors;
  config: ChildConfig;
  optimised: Optimised;
  bound: () => Promise<OnnxModel>;
}

/** What has to be found out about a model before it can be measured. */
export interface Findings {
  /** Of inputs, outputs and what crosses the cuts. */
  types: Map<string, TensorInfo>;
  cutPoints: CutPointInfo[];
  outputs: TensorInfo[];
  notes: string[];
}

/** Runs the model, and looks for cut points and what ONNX Runtime fuses across them. */
export async function explore(opening: Opening, maxCutTensors: number): Promise<Findings> {
  const { bytes, feeds, config, optimised } = opening;
  const complete = opening.complete();
  const cutsOf = (model: OnnxModel): CutPoint[] =>
    maxCutTensors === 0 ? [] : findCutPoints(model, { maxCutTensors });
  // Where shapes say more of the cuts, one run has to tell them first.
  const early = complete.shapeDependents.size === 0 ? cutsOf(complete) : [];
  const { types, notes } = await runBound(complete, crossingOf(early), { feeds, config });
  const model = await opening.bound();
  const candidates = early.length > 0 ? early : cutsOf(model);
  await learnCrossing(model, candidates, { feeds, types, config });

  const legal = candidates.filter((cut) => cut.tensors.every((name) => types.has(name)));
  if (legal.length < candidates.length) {
    notes.push(
      `${candidates.length - legal.length} cut points are left out: what crosses them is no tensor that can be fetched`,
    );
  }
  const fused = await fusedCuts(legal, { model, bytes, config, optimised, notes });
  const cutPoints = legal.map((cut, index) => ({
    index,
    afterLayer: cut.afterLayer,
    tensors: cut.tensors.flatMap((name) => types.get(name) ?? []),
    fused: fused.has(cut.afterLayer),
  }));
  const outputs = model.outputs.flatMap((output) => types.get(output.name) ?? []);
  return { types, cutPoints, outputs, notes };
}

/** Cuts and fusions are the same wherever file, external data and environment are. */
export function isStillKnown(
  known: KnownModel,
  now: Pick<OpenedModel, "model" | "externalSha256" | "environment"> & Decoded,
): boolean {
  return (
    known.sha256 === now.model.sha256 &&
    known.externalSha256 === now.externalSha256 &&
    isDeepStrictEqual(known.environment, now.environment) &&
    known.layers === Math.max(1, now.noted.layers) &&
    (!now.isDecoded || hasAll(now.complete(), known))
  );
}

function hasAll(model: OnnxModel, { outputs, cutPoints }: KnownModel): boolean {
  const names = new Set(
    [...model.inputs, ...model.outputs]
      .map(({ name }) => name)
      .concat(...model.layers.map((layer) => layer.outputs)),
  );
  const crossing = [...outputs, ...cutPoints.flatMap((cut) => cut.tensors)];
  return crossing.every(({ name }) => names.has(name));
}

/** What was found out before. */
export function recall({ outputs, cutPoints }: KnownModel, feeds: Tensors): Findings {
  const types = new Map([...feeds].map(([name, tensor]) => [name, infoOf(name, tensor)]));
  for (const one of [...outputs, ...cutPoints.flatMap((cut) => cut.tensors)]) {
    types.set(one.name, one);
  }
  const numbered = cutPoints.map((cut, index) => ({ index, ...cut, fused: false }));
  return { types, cutPoints: numbered, outputs, notes: [] };
}

async function runBound(
  model: OnnxModel,
  wished: readonly string[],
  context: { feeds: Tensors; config: ChildConfig },
): Promise<{ types: Map<string, TensorInfo>; notes: string[] }> {
  const notes: string[] = [];
  const { types, otherOutputs } = await runOnce(model, wished, context);
  for (const name of otherOutputs) {
    notes.push(`output ${printable(name)} is no tensor; it is neither compared nor sent`);
  }
  for (const [name, tensor] of context.feeds) types.set(name, infoOf(name, tensor));
  return { types, notes };
}

function crossingOf(cuts: readonly CutPoint[]): string[] {
  return [...new Set(cuts.flatMap((cut) => cut.tensors))];
}

/** Adds to `types` those of the tensors that cross the cuts, where they can be fetched. */
async function learnCrossing(
  model: OnnxModel,
  cuts: readonly CutPoint[],
  context: { feeds: Tensors; types: Map<string, TensorInfo>; config: ChildConfig },
): Promise<void> {
  const { feeds, types, config } = context;
  const unknown = crossingOf(cuts).filter((name) => !types.has(name));
  await fetchTensors(model, unknown, {
    feeds,
    config,
    take: (name, tensor) => types.set(name, infoOf(name, tensor)),
  });
}

async function fusedCuts(
  cuts: readonly CutPoint[],
  context: Parameters<typeof findFusedCuts>[1] & { notes: string[] },
): Promise<ReadonlySet<number>> {
  if (cuts.length === 0) return new Set();
  try {
    const { fused, unexamined } = await findFusedCuts(cuts, context);
    if (unexamined > 0) {
      context.notes.push(
        `${unexamined} of ${cuts.length} cut points were not checked for fusions across them: it took too long`,
      );
    }
    return fused;
  } catch (error) {
    const reason = printable(errorMessage(error));
    context.notes.push(`no evidence of what ONNX Runtime fuses, so no cut is marked: ${reason}`);
    return new Set();
  }
}
