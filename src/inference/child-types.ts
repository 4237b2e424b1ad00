import type { Tensor } from "onnxruntime-node";
import { AppError, isAppError } from "../core/index.js";
import { type OnnxModel, withExtraOutputs } from "../model/index.js";
import type { TensorInfo } from "../protocol/index.js";
import { withSession } from "./child-session.js";
import { infoOf, type Tensors } from "./child-tensors.js";
import type { ChildConfig } from "./messages.js";

/** Tensors fetched in one run: it bounds what is held at a time. */
const TENSORS_PER_RUN_MAX = 128;

/** Types are those of the graph in the file, not of what ONNX Runtime makes of it. */
const AS_IT_STANDS = { optimisation: "disabled" } as const;

interface RunContext {
  feeds: Tensors;
  config: ChildConfig;
}

export interface RunTypes {
  /** Of the model's outputs, and of what else was fetched. */
  types: Map<string, TensorInfo>;
  /** Outputs of the model that are no tensors JavaScript can hold. */
  otherOutputs: readonly string[];
}

/**
 * Runs the model once as it stands in the file. Inner tensors that are wished for come along, where
 * they are few and can be fetched: each further run costs as much as the first.
 * @throws AppError INFERENCE_FAILED when it does not load or run | MODEL_UNSUPPORTED without any
 * output that can be fetched
 */
export async function runOnce(
  model: OnnxModel,
  wished: readonly string[],
  context: RunContext,
): Promise<RunTypes> {
  if (wished.length === 0 || wished.length > TENSORS_PER_RUN_MAX) return run(model, [], context);
  try {
    return await run(model, wished, context);
  } catch (error) {
    if (!isAppError(error, "INFERENCE_FAILED")) throw error;
    return run(model, [], context);
  }
}

function run(
  model: OnnxModel,
  wished: readonly string[],
  { feeds, config }: RunContext,
): Promise<RunTypes> {
  const own = new Set(model.outputs.map((output) => output.name));
  const bytes = wished.length === 0 ? model.bytes : withExtraOutputs(model, wished);
  return withSession(bytes, { config, ...AS_IT_STANDS }, async (session) => {
    if (!session.tensorOutputs.some((name) => own.has(name))) {
      throw new AppError(
        "MODEL_UNSUPPORTED",
        "none of the model's outputs is a tensor that can be fetched here",
      );
    }
    const fetched = await session.run(feeds, session.tensorOutputs);
    const types = new Map([...fetched].map(([name, tensor]) => [name, infoOf(name, tensor)]));
    return { types, otherOutputs: session.otherOutputs.filter((name) => own.has(name)) };
  });
}

/**
 * Inner tensors, computed by the graph as it stands in the file with those tensors as further
 * outputs, and handed to `take` in turn. What cannot be fetched (sequences, bfloat16) is left out.
 */
export async function fetchTensors(
  model: OnnxModel,
  names: readonly string[],
  context: RunContext & { take: (name: string, tensor: Tensor) => void },
): Promise<void> {
  const { feeds, config, take } = context;
  const noTensors: Tensors = new Map();
  const fetchOrSplit = async (some: readonly string[]): Promise<void> => {
    if (some.length === 0) return;
    try {
      const bytes = withExtraOutputs(model, some);
      const fetched = await withSession(bytes, { config, ...AS_IT_STANDS }, (session) => {
        const fetchable = new Set(session.tensorOutputs);
        const wanted = some.filter((name) => fetchable.has(name));
        return wanted.length === 0 ? noTensors : session.run(feeds, wanted);
      });
      for (const [name, tensor] of fetched) take(name, tensor);
    } catch (error) {
      if (!isAppError(error, "INFERENCE_FAILED")) throw error;
      if (some.length === 1) return;
      const middle = some.length >> 1;
      await fetchOrSplit(some.slice(0, middle));
      await fetchOrSplit(some.slice(middle));
    }
  };
  for (let start = 0; start < names.length; start += TENSORS_PER_RUN_MAX) {
    await fetchOrSplit(names.slice(start, start + TENSORS_PER_RUN_MAX));
  }
}
