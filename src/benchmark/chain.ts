import type { ModelWorker } from "../inference/index.js";
import type { Block } from "./blocks.js";

/** Runs every block once, one on the outputs of the other. @returns how long each took to open, in milliseconds */
export async function runChain(worker: ModelWorker, blocks: readonly Block[]): Promise<number[]> {
  const once = { warmups: 0, repeats: 1, budgetMs: 1 };
  const allOpenMs: number[] = [];
  for (const { firstLayer, lastLayer } of blocks) {
    const { openMs } = await worker.measure({ kind: "range", firstLayer, lastLayer }, once);
    allOpenMs.push(openMs);
  }
  return allOpenMs;
}
