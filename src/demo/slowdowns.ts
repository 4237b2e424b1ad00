import type { Clock, Logger } from "../core/index.js";
import { inferenceOptionsSchema, startModelWorker } from "../inference/index.js";
import type { NodeName } from "./scenario.js";

/** What the whole model shall take on each slow node: far apart, so that no machine changes the story. */
const TARGET_MS: Partial<Record<NodeName, number>> = { "cam-1": 1_600, "edge-1": 400 };
const REPEATS = 5;

/** How many times slower than this machine each node computes. */
export type Slowdowns = Readonly<Record<NodeName, number>>;

/** Times the model once here, and slows device and edge down to what such nodes would take. */
export async function chooseSlowdowns(
  model: string,
  deps: { clock: Clock; log: Logger; signal: AbortSignal },
): Promise<Slowdowns> {
  const worker = await startModelWorker(inferenceOptionsSchema.parse({}), deps);
  try {
    await worker.open({ path: model, inputs: [], maxCutTensors: 1 });
    const repeat = { warmups: 1, repeats: REPEATS, budgetMs: 5_000 };
    const { samplesMs } = await worker.measure({ kind: "whole" }, repeat);
    const wholeMs = Math.min(...samplesMs);
    const slowdown = (node: NodeName): number =>
      Math.max(1, Math.round((TARGET_MS[node] ?? 0) / wholeMs));
    return { "cam-1": slowdown("cam-1"), "edge-1": slowdown("edge-1"), "gpu-1": slowdown("gpu-1") };
  } finally {
    await worker.stop();
  }
}
