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
  yardstickSchema,
} from "./messages.js";
import { type InferenceOptions, isOneThread } from "./options.js";
import { createSettler } from "./settle.js";
import { startWorkerProcess, type WorkerDeps } from "./worker-process.js";

/** A measurement is repeated so often because something slowed the processor down meanwhile. */
const RETRIES_MAX = 2;
/** The same where an earlier one is there to compare with. */
const RETRIES_MAX_AGAIN = 1;
/** So long it waits each time; what was measured before is not kept waiting for longer than it takes. */
const PATIENCE_MS = 2_000;

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
  const settler = createSettler({
    pid: child.pid,
    isMovable: isOneThread(options),
    clock: deps.clock,
    signal: deps.signal,
    readYardstick: () => ask({ kind: "yardstick" }, yardstickSchema),
  });
  let isHopeless = false;
  const undisturbed = async <T>(
    run: () => Promise<T>,
    { isSlowed, repeat }: { isSlowed: (result: T) => boolean; repeat: Repeat },
  ): Promise<T> => {
    if (isHopeless) return run();
    const expectedMs = repeat.stability?.expectedMs;
    const retriesMax = expectedMs === undefined ? RETRIES_MAX : RETRIES_MAX_AGAIN;
    const settle = () => settler.settle(Math.min(PATIENCE_MS, expectedMs ?? Infinity));
    await settle();
    for (let retries = 0; ; retries++) {
      const result = await run();
      if (!isSlowed(result)) return result;
      // It stays slow, as one does that became too hot: nothing further is kept waiting for it.
      isHopeless = retries === retriesMax || !(await settle());
      if (isHopeless) return result;
    }
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
    measure: (target, repeat) => {
      const run = (): Promise<Measured> => ask({ kind: "measure", target, repeat }, measuredSchema);
      // Nobody asks how long the others take exactly.
      if (repeat.stability === undefined) return run();
      return undisturbed(run, { repeat, isSlowed: ({ slowed }) => slowed });
    },
    profile: (request) =>
      undisturbed(() => ask({ kind: "profile", ...request }, profiledSchema), {
        repeat: request.repeat,
        isSlowed: ({ whole }) => whole.slowed,
      }),
    compare: () => ask({ kind: "compare" }, comparedSchema),
    sidecars: (path) => ask({ kind: "sidecars", path: resolve(path) }, listedSidecarsSchema),
    probe: (provider) => ask({ kind: "probe", provider }, providerStateSchema),
    extract: (range, path) => ask({ kind: "extract", range, path: resolve(path) }, extractedSchema),
    stop: () => child.stop(),
  };
}
