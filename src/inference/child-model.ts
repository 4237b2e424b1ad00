import { cpus } from "node:os";
import { basename, extname } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { env } from "onnxruntime-node";
import { AppError, errorMessage, printable } from "../core/index.js";
import {
  type CutPoint,
  findCutPoints,
  type OnnxModel,
  parseModel,
  type SubModel,
} from "../model/index.js";
import type { CutPointInfo, TensorInfo } from "../protocol/index.js";
import { type Decoded, decodeWhenNeeded } from "./child-decode.js";
import { completeModel } from "./child-external.js";
import { readModelFile, sha256Of, writeAtomically } from "./child-files.js";
import { findFusedCuts } from "./child-fusion.js";
import { bindInputs } from "./child-inputs.js";
import { type Kept, openKept } from "./child-kept.js";
import { createMeasurer } from "./child-measure.js";
import { createOptimised, type Optimised } from "./child-optimised.js";
import { requireProviders } from "./child-providers.js";
import { bindShapes } from "./child-shapes.js";
import { fetchTensors, runOnce } from "./child-types.js";
import { infoOf, type Tensors } from "./child-tensors.js";
import type {
  ChildConfig,
  Compared,
  Extracted,
  KnownModel,
  LayerRange,
  Measured,
  MeasureTarget,
  OpenedModel,
  OpenRequest,
  Profiled,
  ProfileRequest,
  Repeat,
} from "./messages.js";
import type { Processor } from "./processor.js";

/** A model whose inputs are bound and whose tensors have known types. */
export interface LoadedModel {
  measure(target: MeasureTarget, repeat: Repeat): Promise<Measured>;
  profile(request: ProfileRequest): Promise<Profiled>;
  compare(): Promise<Compared>;
  extract(range: LayerRange, path: string): Promise<Extracted>;
}

const MODEL_NAME_CHARACTERS_MAX = 200;

/**
 * Reads, hashes and parses a model, and finds out by running it what is not known of it.
 * @throws AppError MODEL_* | INFERENCE_FAILED
 */
export async function openModel(
  request: OpenRequest,
  childConfig: ChildConfig,
  processor: Processor,
): Promise<{ loaded: LoadedModel; description: OpenedModel }> {
  await requireProviders(childConfig);
  const { known } = request;
  const file = readModelFile(request.path, childConfig.modelBytesMax);
  const source = { path: request.path, bytesMax: childConfig.modelBytesMax };
  const read = { sha256: sha256Of(file), environment: describeEnvironment(childConfig) };
  const kept = keptFor(request, read, childConfig);
  const decoded = decodeWhenNeeded(file, source, kept?.model());
  const { noted } = decoded;
  const config = { ...childConfig, externalDirectory: decoded.externalDirectory };

  const feeds = bindInputs(noted.inputs, {
    bindings: request.inputs,
    files: request.inputFiles,
    seed: config.inputSeed,
  });
  const optimised = createOptimised(decoded.complete, config);
  let bound: Promise<OnnxModel> | undefined;
  const opening = {
    ...{ complete: decoded.complete, bytes: decoded.bytes, feeds, config, optimised },
    bound: () => (bound ??= bindShapes(decoded.complete(), { feeds, config })),
  };
  const identity = {
    model: { name: request.modelName ?? nameOfFile(request.path), sha256: read.sha256 },
    ...(decoded.sha256 === undefined ? {} : { externalSha256: decoded.sha256 }),
    environment: read.environment,
  };
  const wasKnown = known !== undefined && isStillKnown(known, { ...identity, ...decoded });
  const found = wasKnown ? recall(known, feeds) : await explore(opening, request.maxCutTensors);
  const { types, cutPoints, outputs, notes } = found;
  const mayKeep = wasKnown && decoded.sha256 === undefined;
  const measurer = createMeasurer({
    ...{ ...opening, noted, processor, types, cutPoints, outputs },
    kept: mayKeep ? kept : undefined,
  });
  return {
    loaded: {
      measure: (target, repeat) => measurer.measure(target, repeat),
      profile: (wanted) => measurer.profile(wanted),
      compare: () => measurer.compare(),
      extract: async (range, path) =>
        extractTo(path, selfContained(await measurer.part(range), source), types),
    },
    description: {
      ...identity,
      layers: noted.layers,
      inputs: [...feeds].map(([name, tensor]) => infoOf(name, tensor)),
      ...{ outputs, cutPoints, wasKnown, notes },
    },
  };
}

/** What was kept of a model that an earlier benchmark knows, and of whose inputs nothing is in files. */
function keptFor(
  { known, inputs, inputFiles = [] }: OpenRequest,
  read: { sha256: string; environment: OpenedModel["environment"] },
  config: ChildConfig,
): Kept | undefined {
  const mayHold =
    known?.sha256 === read.sha256 &&
    known.externalSha256 === undefined &&
    isDeepStrictEqual(known.environment, read.environment) &&
    inputFiles.length === 0;
  return mayHold ? openKept(config, { ...read, inputs }) : undefined;
}

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
interface Findings {
  /** Of inputs, outputs and what crosses the cuts. */
  types: Map<string, TensorInfo>;
  cutPoints: CutPointInfo[];
  outputs: TensorInfo[];
  notes: string[];
}

/** Runs the model, and looks for cut points and what ONNX Runtime fuses across them. */
async function explore(opening: Opening, maxCutTensors: number): Promise<Findings> {
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
function isStillKnown(
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

function recall({ outputs, cutPoints }: KnownModel, feeds: Tensors): Findings {
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

/** A part whose weights are in files beside the model, with those inside. @throws AppError MODEL_TOO_LARGE */
function selfContained(part: SubModel, source: { path: string; bytesMax: number }): SubModel {
  const { model, externalDirectory } = completeModel(parseModel(part.bytes), source);
  if (externalDirectory === undefined) return { ...part, bytes: model.bytes };
  const text = `a part of the model uses external files of more than 2 GiB, and cannot be one file (${model.externalFiles.length} files)`;
  throw new AppError("MODEL_TOO_LARGE", text);
}

function extractTo(
  path: string,
  part: SubModel,
  types: ReadonlyMap<string, TensorInfo>,
): Extracted {
  try {
    writeAtomically(path, part.bytes);
  } catch (cause) {
    throw new AppError("STORE_WRITE_FAILED", `cannot write ${path}: ${errorMessage(cause)}`, {
      cause,
    });
  }
  const infos = (names: readonly string[]): TensorInfo[] =>
    names.flatMap((name) => types.get(name) ?? []);
  return {
    sha256: sha256Of(part.bytes),
    bytes: part.bytes.byteLength,
    inputs: infos(part.inputs),
    outputs: infos(part.outputs),
  };
}

function describeEnvironment(config: ChildConfig): OpenedModel["environment"] {
  const cores = cpus();
  return {
    cpuModel: cores[0]?.model.trim() ?? "unknown",
    logicalCores: Math.max(cores.length, 1),
    threads: config.threads,
    onnxruntimeVersion: env.versions.node ?? env.versions.common,
    nodeVersion: process.version,
    platform: `${process.platform}-${process.arch}`,
    provider: config.executionProviders.join(","),
  };
}

function nameOfFile(path: string): string {
  const name = basename(path, extname(path)).slice(0, MODEL_NAME_CHARACTERS_MAX);
  return name === "" ? "model" : name;
}
