// What a benchmark costs beside Scission's procedure: one warm-up and ten runs of each block.
// Starting the process and opening the model come before the first step, and are told apart.
import { benchmarkModel, benchmarkOptionsSchema } from "../../dist/benchmark/index.js";
import { repeatOf } from "../../dist/benchmark/repeat.js";
import { DEPS, NODE, realModels, rounded, sum, withWorker } from "./real-models.js";

const COST_RATIO_MAX = 1 / 3;
const SENTINEL_RATIO_MAX = 0.1;
const SENTINEL_MODEL_MS = 50;
const SCISSION = { warmups: 1, repeats: 10, budgetMs: 600_000 };
const OPTIONS = benchmarkOptionsSchema.parse({ inference: { niceness: 0 } });

/** A benchmark, with the time from its first step to its end. */
async function full(model, previous) {
  const startMs = performance.now();
  let openedMs;
  const beforeStep = async () => {
    openedMs ??= performance.now();
  };
  const request = { ...model, node: NODE, previous };
  const profile = await benchmarkModel(request, OPTIONS, { ...DEPS, beforeStep });
  return { profile, openMs: openedMs - startMs, elapsedMs: performance.now() - openedMs };
}

function scission(model, blocks) {
  return withWorker(model, async (worker) => {
    const startMs = performance.now();
    for (const { firstLayer, lastLayer } of blocks) {
      await worker.measure({ kind: "range", firstLayer, lastLayer }, SCISSION);
    }
    return performance.now() - startMs;
  });
}

function sentinel(model) {
  return withWorker(model, async (worker) => {
    const startMs = performance.now();
    await worker.measure({ kind: "whole" }, repeatOf(OPTIONS, 0));
    return performance.now() - startMs;
  });
}

for (const model of realModels()) {
  const first = await full(model);
  const { blocks, wholeMs, calibration, noise } = first.profile;
  const before = await scission(model, blocks);
  const again = await full(model, first.profile);
  const sentinelMs = await sentinel(model);
  // Twice, on both sides of what is compared with it: the machine may have become slower meanwhile.
  const scissionMs = (before + (await scission(model, blocks))) / 2;
  const ratio = again.elapsedMs / scissionMs;
  const sentinelRatio = sentinelMs / scissionMs;
  const result = {
    name: "cost",
    model: model.name,
    method: calibration.method,
    blocks: blocks.length,
    wholeMs: rounded(wholeMs),
    openMs: rounded(first.openMs),
    scissionMs: rounded(scissionMs),
    // The first benchmark of a model also checks the chain and measures what a cut costs.
    firstMs: rounded(first.elapsedMs),
    firstRatio: rounded(first.elapsedMs / scissionMs),
    againMs: rounded(again.elapsedMs),
    ratio: rounded(ratio),
    ratioWithOpening: rounded((again.openMs + again.elapsedMs) / (again.openMs + scissionMs)),
    target: rounded(COST_RATIO_MAX),
    sentinelMs: rounded(sentinelMs),
    sentinelRatio: rounded(sentinelRatio),
    sentinelTarget: wholeMs > SENTINEL_MODEL_MS ? SENTINEL_RATIO_MAX : null,
    runs: first.profile.whole.repeats + sum(blocks.map((block) => block.repeats)) / blocks.length,
    scissionRuns: 11,
    noise: noise.marks,
    ok:
      ratio <= COST_RATIO_MAX &&
      (wholeMs <= SENTINEL_MODEL_MS || sentinelRatio <= SENTINEL_RATIO_MAX),
  };
  console.log(JSON.stringify(result));
  if (!result.ok) process.exitCode = 1;
}
