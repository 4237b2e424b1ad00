// What a benchmark costs beside Scission's procedure: one warm-up and ten runs of each block, each
// opened as a session of its own. Every figure begins when a new child process runs ONNX Runtime,
// and holds reading, hashing and parsing the file, the same for all; to the procedure its cuts and
// shapes are given, for it counts them as known. All are done several times in turn, and of each
// the fastest counts: memory that the machine has not used lately can cost a virtual machine more
// than all else (4 ms/MB were seen), by chance.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  benchmarkModel,
  benchmarkOptionsSchema,
  readSentinel,
} from "../../dist/benchmark/index.js";
import { knownOf } from "../../dist/benchmark/verified.js";
import { inferenceOptionsSchema, startModelWorker } from "../../dist/inference/index.js";
import { DEPS, NODE, realModels, rounded, sum } from "./real-models.js";

const COST_RATIO_MAX = 1 / 3;
const SENTINEL_RATIO_MAX = 0.1;
const SENTINEL_MODEL_MS = 50;
const SCISSION = { warmups: 1, repeats: 10, budgetMs: 600_000 };
const ROUNDS = 3;
const KEPT = mkdtempSync(join(tmpdir(), "scissiond-kept-"));
const OPTIONS = benchmarkOptionsSchema.parse({ inference: { niceness: 0 } });

/** What is done, and the time from the moment the child is there, by named steps. */
async function timed(run) {
  const steps = [];
  const onProgress = ({ what }) => steps.push({ what, atMs: performance.now() });
  const value = await run({ ...DEPS, onProgress, keptDirectory: KEPT });
  // A benchmark tells that it is done; then its process is ended.
  const endMs = steps.find(({ what }) => what === "done")?.atMs ?? performance.now();
  const stepMs = {};
  for (const [index, { what, atMs }] of steps.entries()) {
    if (what === "done") break;
    const untilMs = steps[index + 1]?.atMs ?? endMs;
    stepMs[what] = Math.round((stepMs[what] ?? 0) + untilMs - atMs);
  }
  return { value, elapsedMs: endMs - steps[0].atMs, stepMs };
}

const full = (model, previous) =>
  timed((deps) => benchmarkModel({ ...model, node: NODE, previous }, OPTIONS, deps));
const sentinel = (model, previous) =>
  timed((deps) => readSentinel({ ...model, previous }, OPTIONS, deps));

/** The procedure: from a running child to the last block. */
async function scission({ path, inputs }, profile) {
  const worker = await startModelWorker(inferenceOptionsSchema.parse({}), DEPS);
  try {
    const startMs = performance.now();
    const opened = await worker.open({ path, inputs, maxCutTensors: 1, known: knownOf(profile) });
    if (!opened.wasKnown) throw new Error("the procedure's cuts are not those of the profile");
    // What the blocks are fed is there when the one before has run: nothing is computed for it.
    for (const { firstLayer, lastLayer } of profile.blocks) {
      await worker.measure({ kind: "range", firstLayer, lastLayer }, SCISSION);
    }
    return { elapsedMs: performance.now() - startMs };
  } finally {
    await worker.stop();
  }
}

function fastest(runs) {
  return runs.reduce((best, one) => (one.elapsedMs < best.elapsedMs ? one : best));
}

function factorOf(times) {
  return sum(times.map(({ nowMs }) => nowMs)) / sum(times.map(({ beforeMs }) => beforeMs));
}

for (const model of realModels()) {
  const first = await full(model);
  const profile = first.value;
  // The second benchmark keeps what the later ones open; what that costs is told.
  const second = await full(model, profile);
  const rounds = [];
  // As in a daemon, each is compared with the one before.
  let newest = second.value;
  for (let round = 0; round < ROUNDS; round++) {
    const procedure = await scission(model, newest);
    const again = await full(model, newest);
    newest = again.value;
    rounds.push({ procedure, again, look: await sentinel(model, newest) });
  }
  const again = fastest(rounds.map((one) => one.again));
  const look = fastest(rounds.map((one) => one.look));
  const scissionMs = fastest(rounds.map((one) => one.procedure)).elapsedMs;
  const { wholeMs } = profile;
  const isLarge = wholeMs > SENTINEL_MODEL_MS;
  const ratio = again.elapsedMs / scissionMs;
  const sentinelRatio = look.elapsedMs / scissionMs;
  const result = {
    name: "cost",
    model: model.name,
    method: profile.calibration.method,
    blocks: profile.blocks.length,
    wholeMs: rounded(wholeMs),
    scissionMs: rounded(scissionMs),
    // The first benchmark also finds cuts and fusions, checks the chain and measures what a cut costs.
    firstMs: rounded(first.elapsedMs),
    firstRatio: rounded(first.elapsedMs / scissionMs),
    firstSteps: first.stepMs,
    secondMs: rounded(second.elapsedMs),
    againMs: rounded(again.elapsedMs),
    ratio: rounded(ratio),
    againSteps: again.stepMs,
    target: rounded(COST_RATIO_MAX),
    sentinelMs: rounded(look.elapsedMs),
    sentinelRatio: rounded(sentinelRatio),
    sentinelBlocks: again.value.sentinel?.blocks.length ?? null,
    sentinelSteps: look.stepMs,
    // What the looks of all rounds found, where nothing had changed.
    sentinelSees: rounds.map((one) => rounded(factorOf(one.look.value.times))),
    sentinelTarget: isLarge ? SENTINEL_RATIO_MAX : null,
    runs: again.value.whole.repeats,
    scissionRuns: 11,
    noise: profile.noise.marks,
    ok: ratio <= COST_RATIO_MAX && (!isLarge || sentinelRatio <= SENTINEL_RATIO_MAX),
  };
  console.log(JSON.stringify(result));
  if (!result.ok) process.exitCode = 1;
}
rmSync(KEPT, { recursive: true });
