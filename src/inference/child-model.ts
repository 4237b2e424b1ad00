import { cpus } from "node:os";
import { basename, extname } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { env } from "onnxruntime-node";
import { AppError, errorMessage } from "../core/index.js";
import { type OnnxModel, parseModel, type SubModel } from "../model/index.js";
import type { TensorInfo } from "../protocol/index.js";
import { decodeWhenNeeded } from "./child-decode.js";
import { completeModel } from "./child-external.js";
import { readModelFile, sha256Of, writeAtomically } from "./child-files.js";
import { explore, isStillKnown, recall } from "./child-findings.js";
import { bindInputs } from "./child-inputs.js";
import { type Kept, openKept } from "./child-kept.js";
import { createMeasurer } from "./child-measure.js";
import { createOptimised } from "./child-optimised.js";
import { requireProviders } from "./child-providers.js";
import { bindShapes } from "./child-shapes.js";
import { infoOf } from "./child-tensors.js";
import type {
  ChildConfig,
  Compared,
  Extracted,
  LayerRange,
  Measured,
  MeasureTarget,
  OpenedModel,
  OpenRequest,
  Profiled,
  ProfileRequest,
  Repeat,
  Turn,
} from "./messages.js";

/** A model whose inputs are bound and whose tensors have known types. */
export interface LoadedModel {
  measure(target: MeasureTarget, repeat: Repeat): Promise<Measured>;
  turn(ranges: readonly LayerRange[], repeat: Repeat): Promise<Turn>;
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
    ...{ ...opening, noted, types, cutPoints, outputs },
    kept: mayKeep ? kept : undefined,
  });
  return {
    loaded: {
      measure: (target, repeat) => measurer.measure(target, repeat),
      turn: (ranges, repeat) => measurer.turn(ranges, repeat),
      profile: (wanted) => measurer.profile(wanted),
      compare: () => measurer.compare(),
      extract: async (range, path) => ({
        ...extractTo(path, selfContained(await measurer.part(range), source), types),
        ...(decoded.sha256 === undefined ? {} : { externalSha256: decoded.sha256 }),
      }),
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
