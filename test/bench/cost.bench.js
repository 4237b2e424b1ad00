// What a benchmark costs beside Scission's procedure: one warm-up and ten runs of each block.
import {
  benchmarkModel,
  benchmarkOptionsSchema,
  readSentinel,
} from "../../dist/benchmark/index.js";
import { DEPS, NODE, realModels, rounded, sum, withWorker } from "./real-models.js";

const COST_RATIO_MAX = 1 / 3;
const SCISSION = { warmups: 1, repeats: 10, budgetMs: 600_000 };

async function elapsed(work) {
  const startMs = performance.now();
  const result = await work();
  return { result, elapsedMs: performance.now() - startMs };
}

for (const model of realModels()) {
  const full = await elapsed(() =>
    benchmarkModel(
      { ...model, node: NODE },
      benchmarkOptionsSchema.parse({ inference: { niceness: 0 } }),
      DEPS,
    ),
  );
  const { blocks, wholeMs, whole, noise } = full.result;
  // Starting the process and opening the model is the same for both, and taken off both.
  let openMs = 0;
  const scission = await elapsed(async () => {
    const startMs = performance.now();
    await withWorker(model, async (worker) => {
      openMs = performance.now() - startMs;
      for (const { firstLayer, lastLayer } of blocks) {
        await worker.measure({ kind: "range", firstLayer, lastLayer }, SCISSION);
      }
    });
  });
  const ratio = (full.elapsedMs - openMs) / (scission.elapsedMs - openMs);
  const options = benchmarkOptionsSchema.parse({ inference: { niceness: 0 }, repeatsMax: 5 });
  const sentinel = await elapsed(() => readSentinel(model, options, DEPS));
  const result = {
    name: "cost",
    model: model.name,
    blocks: blocks.length,
    wholeMs: rounded(wholeMs),
    openMs: rounded(openMs),
    fullMs: rounded(full.elapsedMs - openMs),
    scissionMs: rounded(scission.elapsedMs - openMs),
    ratio: rounded(ratio),
    // With the start of its process, which the target leaves out.
    sentinelMs: rounded(sentinel.elapsedMs),
    target: rounded(COST_RATIO_MAX),
    runs: whole.repeats + sum(blocks.map((block) => block.repeats)),
    scissionRuns: 10 * blocks.length,
    unstable: blocks.filter((block) => !block.stable).length,
    noise: noise.marks,
    ok: ratio <= COST_RATIO_MAX,
  };
  console.log(JSON.stringify(result));
  if (!result.ok) process.exitCode = 1;
}
