import { AppError, isAppError } from "../core/index.js";
import { type OnnxModel, withExtraOutputs } from "../model/index.js";
import type { TensorInfo } from "../protocol/index.js";
import { openSession } from "./child-session.js";
import { infoOf, type Tensors } from "./child-tensors.js";
import type { ChildConfig } from "./messages.js";

/** Tensors fetched in one run: it bounds what is held at a time. */
const TENSORS_PER_RUN_MAX = 128;

export interface RunTypes {
  /** Of the model's outputs and of every wanted tensor that can be fetched. */
  types: Map<string, TensorInfo>;
  /** Outputs of the model that are no tensors JavaScript can hold. */
  otherOutputs: readonly string[];
}

/**
 * Types, shapes and bytes of inner tensors, learnt by running the graph as it stands in the file
 * with those tensors as further outputs. What cannot be fetched (sequences, bfloat16) is left out.
 * @throws AppError INFERENCE_FAILED when the model itself does not load; what `explainRefusal`
 * makes of it when it does not run
 */
export async function learnTypes(
  model: OnnxModel,
  context: {
    feeds: Tensors;
    wanted: readonly string[];
    config: ChildConfig;
    /** What is thrown when the model loads but does not run. */
    explainRefusal: (cause: unknown) => unknown;
  },
): Promise<RunTypes> {
  const { feeds, wanted, config } = context;
  const types = new Map<string, TensorInfo>();
  const fetch = async (
    names: readonly string[],
    explain = (cause: unknown): unknown => cause,
  ): Promise<readonly string[]> => {
    const bytes = withExtraOutputs(model, names);
    const session = await openSession(bytes, config, { optimisation: "disabled" });
    try {
      if (session.tensorOutputs.length === 0) {
        throw new AppError(
          "MODEL_UNSUPPORTED",
          "none of the model's outputs is a tensor that can be fetched here",
        );
      }
      const fetched = await session.run(feeds, session.tensorOutputs).catch((cause: unknown) => {
        throw explain(cause);
      });
      for (const [name, tensor] of fetched) types.set(name, infoOf(name, tensor));
      return session.otherOutputs;
    } finally {
      await session.release();
    }
  };
  // The model as it is comes first: what it refuses is no fault of the further outputs.
  const otherOutputs = await fetch([], context.explainRefusal);
  const fetchOrSplit = async (names: readonly string[]): Promise<void> => {
    if (names.length === 0) return;
    try {
      await fetch(names);
    } catch (error) {
      if (!isAppError(error, "INFERENCE_FAILED")) throw error;
      if (names.length === 1) return;
      const middle = names.length >> 1;
      await fetchOrSplit(names.slice(0, middle));
      await fetchOrSplit(names.slice(middle));
    }
  };
  const missing = wanted.filter((name) => !types.has(name) && !feeds.has(name));
  for (let start = 0; start < missing.length; start += TENSORS_PER_RUN_MAX) {
    await fetchOrSplit(missing.slice(start, start + TENSORS_PER_RUN_MAX));
  }
  return { types, otherOutputs };
}
