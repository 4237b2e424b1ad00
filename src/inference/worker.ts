import { resolve } from "node:path";
import { AppError } from "../core/index.js";
import { parseValue } from "../protocol/index.js";
import {
  type Compared,
  comparedSchema,
  type Extracted,
  extractedSchema,
  type LayerRange,
  type ListedSidecar,
  listedSidecarsSchema,
  type Measured,
  type MeasureTarget,
  measuredSchema,
  type OpenedModel,
  type OpenRequest,
  openedModelSchema,
  type Profiled,
  type ProviderState,
  profiledSchema,
  providerStateSchema,
  type ProfileRequest,
  type Repeat,
  type RequestBody,
  type Turn,
  turnSchema,
} from "./messages.js";
import type { InferenceOptions } from "./options.js";
import { startWorkerProcess, type WorkerDeps } from "./worker-process.js";

/**
 * One child process that holds one model and a table of tensors; tensors never cross to the parent.
 * Requests run one after another. Each rejects with an AppError: INFERENCE_TIMEOUT, _MEMORY and
 * _CRASHED end the worker, as ABORTED does; the other codes leave it usable.
 */
export interface ModelWorker {
  readonly pid: number;
  /** Reads, hashes, parses and runs the model once, to learn types and shapes. First of all calls. */
  open(request: OpenRequest): Promise<OpenedModel>;
  /**
   * Times the whole model, or a range of layers on the tensors that cross into it. The outputs
   * stay in the child as inputs of later ranges, so that ranges in order form a chain.
   * @throws AppError MODEL_UNSTABLE when two runs of the whole model differ, MODEL_NOT_A_NUMBER
   */
  measure(target: MeasureTarget, repeat: Repeat): Promise<Measured>;
  /**
   * Times ranges of layers in turn with the whole model, one shortly after the other. All stay open for
   * the next turn of the same ranges. The first turn is slower.
   */
  turn(ranges: readonly LayerRange[], repeat: Repeat): Promise<Turn>;
  /**
   * Times the whole model, and tells from ONNX Runtime's profile what each block takes within it.
   * @throws AppError MODEL_UNSTABLE when two runs differ, MODEL_NOT_A_NUMBER
   */
  profile(request: ProfileRequest): Promise<Profiled>;
  /** Compares what the chain of measured ranges computed with what the whole model computed. */
  compare(): Promise<Compared>;
  /** Writes the range as an ONNX file of its own, atomically. */
  extract(range: LayerRange, path: string): Promise<Extracted>;
  /** The files beside the model that hold weights of it; opens nothing. */
  sidecars(path: string): Promise<ListedSidecar[]>;
  /** Whether an execution provider computes here; needs no model. */
  probe(provider: string): Promise<ProviderState>;
  stop(): Promise<void>;
}

/** @throws AppError INFERENCE_CRASHED | INFERENCE_TIMEOUT | INFERENCE_MEMORY | ABORTED */
export async function startModelWorker(
  options: InferenceOptions,
  deps: WorkerDeps,
): Promise<ModelWorker> {
  const child = await startWorkerProcess(options, deps);
  const ask = async <T>(
    body: RequestBody,
    schema: Parameters<typeof parseValue<T>>[1],
  ): Promise<T> => {
    const answer = parseValue(await child.ask(body), schema);
    if (!answer.ok) throw new AppError("INTERNAL", `answer to ${body.kind}: ${answer.message}`);
    return answer.value;
  };
  return {
    pid: child.pid,
    open: (request) => {
      const inputFiles = (request.inputFiles ?? []).map(({ name, path }) => {
        return { name, path: resolve(path) };
      });
      const path = resolve(request.path);
      return ask({ kind: "open", ...request, path, inputFiles }, openedModelSchema);
    },
    measure: (target, repeat) => ask({ kind: "measure", target, repeat }, measuredSchema),
    turn: (ranges, repeat) => ask({ kind: "turn", ranges: [...ranges], repeat }, turnSchema),
    profile: (request) => ask({ kind: "profile", ...request }, profiledSchema),
    compare: () => ask({ kind: "compare" }, comparedSchema),
    sidecars: (path) => ask({ kind: "sidecars", path: resolve(path) }, listedSidecarsSchema),
    probe: (provider) => ask({ kind: "probe", provider }, providerStateSchema),
    extract: (range, path) => ask({ kind: "extract", range, path: resolve(path) }, extractedSchema),
    stop: () => child.stop(),
  };
}
