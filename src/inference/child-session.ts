import { InferenceSession } from "onnxruntime-node";
import { AppError, errorMessage } from "../core/index.js";
import type { Tensors } from "./child-tensors.js";
import type { ChildConfig } from "./messages.js";

export interface SessionConfig extends ChildConfig {
  /** Where the external data of a model lies that is too large to be held with it. */
  externalDirectory?: string | undefined;
}

/** The JavaScript binding keeps outputs in plain objects, in which this name cannot be a key. */
const UNFETCHABLE_NAME = "__proto__";

export interface SessionOptions {
  /** `disabled` runs the graph as it stands in the file; `all` is what a user gets. */
  optimisation: "disabled" | "extended" | "all";
  /** Fails where a layer would run on the CPU for want of a better provider. */
  forbidCpuFallback?: boolean;
  /** For what is never run: spares a second copy of the weights and leaves the graph as it is. */
  skipPrepacking?: boolean;
  /** Where ONNX Runtime writes what its optimiser made of the graph. */
  optimisedModelPath?: string;
  /** Start of the name of the file that `endProfiling` writes, in the child's own directory. */
  profilePrefix?: string;
}

/** A loaded graph. */
export interface Session {
  readonly inputNames: readonly string[];
  /** Outputs that can be fetched: tensors of a type JavaScript can hold. */
  readonly tensorOutputs: readonly string[];
  readonly otherOutputs: readonly string[];
  /** Fetches the named outputs. @throws AppError INFERENCE_FAILED */
  run(feeds: Tensors, outputs: readonly string[]): Promise<Tensors>;
  /** Writes the profile of the runs so far; later runs are as without it. */
  endProfiling(): void;
  release(): Promise<void>;
}

/** @throws AppError INFERENCE_FAILED */
export async function openSession(
  model: Uint8Array,
  config: SessionConfig,
  options: SessionOptions,
): Promise<Session> {
  const session = await InferenceSession.create(model, sessionOptions(config, options)).catch(
    (cause: unknown) => {
      throw refusal("load", cause);
    },
  );
  const outputs = session.outputMetadata;
  const isFetchable = (output: { name: string; isTensor: boolean }): boolean =>
    output.isTensor && output.name !== UNFETCHABLE_NAME;
  return {
    inputNames: session.inputNames,
    tensorOutputs: outputs.filter(isFetchable).map((output) => output.name),
    otherOutputs: outputs.filter((output) => !isFetchable(output)).map((output) => output.name),
    async run(feeds, names) {
      // `fromEntries` defines own properties, so no name can reach a prototype.
      const wanted = Object.fromEntries(
        session.inputNames.flatMap((name) => {
          const tensor = feeds.get(name);
          return tensor === undefined ? [] : [[name, tensor]];
        }),
      );
      const fetched = await session.run(wanted, names).catch((cause: unknown) => {
        throw refusal("run", cause);
      });
      return new Map(Object.entries(fetched));
    },
    endProfiling: () => session.endProfiling(),
    release: () => session.release(),
  };
}

/** Opens a session for the time of `use`. @throws AppError INFERENCE_FAILED | what `use` throws */
export async function withSession<T>(
  model: Uint8Array,
  { config, ...options }: SessionOptions & { config: SessionConfig },
  use: (session: Session) => T | Promise<T>,
): Promise<T> {
  const session = await openSession(model, config, options);
  try {
    return await use(session);
  } finally {
    await session.release();
  }
}

function sessionOptions(
  config: SessionConfig,
  options: SessionOptions,
): InferenceSession.SessionOptions {
  return {
    executionProviders: config.executionProviders,
    // Never the default: it pins one spinning thread to each core.
    intraOpNumThreads: config.threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: options.optimisation,
    logSeverityLevel: 3,
    ...(options.optimisedModelPath === undefined
      ? {}
      : { optimizedModelFilePath: options.optimisedModelPath }),
    ...(options.profilePrefix === undefined
      ? {}
      : { enableProfiling: true, profileFilePrefix: options.profilePrefix }),
    extra: {
      session: {
        intra_op: { allow_spinning: "0" },
        ...(config.externalDirectory === undefined
          ? {}
          : { model_external_initializers_file_folder_path: config.externalDirectory }),
        ...(options.skipPrepacking === true ? { disable_prepacking: "1" } : {}),
        ...(options.forbidCpuFallback === true ? { disable_cpu_ep_fallback: "1" } : {}),
        ...(options.optimisedModelPath === undefined ? {} : WEIGHTS_APART),
      },
    },
  };
}

/** The file beside the optimised model to which its weights are written. */
export const WEIGHTS_FILE = "weights";
const WEIGHTS_APART = {
  optimized_model_external_initializers_file_name: WEIGHTS_FILE,
  optimized_model_external_initializers_min_size_in_bytes: "1024",
};

function refusal(stage: "load" | "run", cause: unknown): AppError {
  return new AppError(
    "INFERENCE_FAILED",
    `ONNX Runtime cannot ${stage} the model: ${errorMessage(cause)}`,
    { cause },
  );
}
