import { resolve } from "node:path";
import { AppError } from "../core/index.js";
import {
  type InputFile,
  type KnownModel,
  type ModelWorker,
  type OpenedModel,
  startModelWorker,
  type WorkerDeps,
} from "../inference/index.js";
import type { InputBinding } from "../protocol/index.js";
import type { BenchmarkOptions } from "./options.js";
import type { StepsDeps } from "./steps.js";

/** Which model, and how its inputs are made. */
export interface ModelRequest {
  path: string;
  /** For people; the file's name by default. */
  modelName?: string | undefined;
  inputs: readonly InputBinding[];
  /** A user's own data, which a binding may give a shape. */
  inputFiles?: readonly InputFile[] | undefined;
}

/** Of a state directory: where optimised models are kept. */
export const KEPT_DIRECTORY = "optimised";

/** What the child need not find out if it is still true. */
interface Known {
  known?: KnownModel | undefined;
}

export interface BenchmarkDeps extends StepsDeps {
  /** Where optimised models are kept, so that the next benchmark opens them sooner; absent: nowhere. */
  keptDirectory?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Told what was assumed about the model or left out, in plain words. */
  onNote?: ((note: string) => void) | undefined;
}

/** Options with which `withModel` looks for no cut points and fusions: that takes longer than most timings. */
export function withoutCuts(options: BenchmarkOptions): BenchmarkOptions {
  return { ...options, maxCutTensors: 0 };
}

/**
 * Opens the model in a child process for the time of `use`; afterwards, whatever happened, the
 * process is gone and its files are removed. All of it is bounded by `options.timeoutMs`.
 * @throws AppError INFERENCE_TIMEOUT | ABORTED | what opening or `use` throws
 */
export async function withModel<T>(
  request: ModelRequest & Known,
  context: { options: BenchmarkOptions; deps: BenchmarkDeps },
  use: (worker: ModelWorker, opened: OpenedModel, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { options, deps } = context;
  const expiry = new AbortController();
  const finished = new AbortController();
  void deps.clock.sleep(options.timeoutMs, finished.signal).then(() => {
    if (!finished.signal.aborted) expiry.abort();
  });
  const signals = deps.signal === undefined ? [] : [deps.signal];
  const signal = AbortSignal.any([expiry.signal, ...signals]);
  let worker: ModelWorker | undefined;
  try {
    worker = await startModelWorker(options.inference, {
      log: deps.log,
      clock: deps.clock,
      signal,
      keep: keepOf(options, deps),
    });
    deps.onProgress?.({ done: 0, total: 1, what: "opening the model" });
    const opened = await worker.open({
      path: request.path,
      ...(request.modelName === undefined ? {} : { modelName: request.modelName }),
      inputs: [...request.inputs],
      inputFiles: [...(request.inputFiles ?? [])],
      maxCutTensors: options.maxCutTensors,
      ...(request.known === undefined ? {} : { known: request.known }),
    });
    for (const note of opened.notes) deps.onNote?.(note);
    return await use(worker, opened, signal);
  } catch (error) {
    throw expiry.signal.aborted ? expiredError(options.timeoutMs, error) : error;
  } finally {
    finished.abort();
    await worker?.stop();
  }
}

function keepOf(
  { keptBytesMax }: BenchmarkOptions,
  { keptDirectory }: BenchmarkDeps,
): WorkerDeps["keep"] {
  return keptDirectory === undefined
    ? undefined
    : { directory: resolve(keptDirectory), bytesMax: keptBytesMax };
}

function expiredError(timeoutMs: number, cause: unknown): AppError {
  return new AppError(
    "INFERENCE_TIMEOUT",
    `not finished after ${timeoutMs / 1_000} s, and stopped; give it more time or fewer repeats`,
    { cause },
  );
}
