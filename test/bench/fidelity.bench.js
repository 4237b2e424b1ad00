// How well profiles predict: random partitions of real models, predicted from raw block times, from
// scaled and from calibrated ones, with what the cuts cost, and from their own measurement, against a
// measurement in a new process at least a minute and one other model later.
// All times are told for the processor's usual speed: the same slow-down is taken out of all of them.
// SCISSIOND_BENCH_MODELS names some of the models, SCISSIOND_BENCH_PLANS the number of plans.
import { setTimeout as sleep } from "node:timers/promises";
import {
  benchmarkModel,
  benchmarkOptionsSchema,
  measureRanges,
} from "../../dist/benchmark/index.js";
import { seededRandom } from "../../dist/core/index.js";
import { DEPS, NODE, quantile, realModels, rounded, sum } from "./real-models.js";

const PLANS = Number(process.env.SCISSIOND_BENCH_PLANS ?? 30);
const SEED = 5;
const LATER_MS = 60_000;
const LARGE_MODEL_MS = 20;
const CALIBRATED_P90_MAX = 0.1;
const CONFIRMED_MEDIAN_MAX = 0.03;
const CONFIRMED_P95_MAX = 0.08;
const OPTIONS = benchmarkOptionsSchema.parse({ inference: { niceness: 0 } });

/**
 * The partitions, as [first, last] block, of ways to cut the model into two or three. Each is judged
 * on its own: those of one plan sum to the whole model, whatever their shares.
 */
function randomPartitions(blocks, random) {
  return Array.from({ length: PLANS }, (_, index) => index).flatMap((index) => {
    const cuts = new Set();
    const parts = Math.min(2 + (index % 2), blocks);
    while (cuts.size < parts - 1) cuts.add(1 + Math.floor(random() * (blocks - 1)));
    const starts = [0, ...[...cuts].sort((a, b) => a - b)];
    return starts.map((start, part) => [start, (starts[part + 1] ?? blocks) - 1]);
  });
}

/** As an agent measures them when a plan is to be confirmed: median milliseconds of each. */
async function measurePartitions(model, { blocks, ...earlier }, partitions) {
  const ranges = partitions.map(([first, last]) => {
    return { firstLayer: blocks[first].firstLayer, lastLayer: blocks[last].lastLayer };
  });
  const measured = await measureRanges({ ...model, ranges, earlier }, OPTIONS, DEPS);
  return measured.ranges.map(({ medianMs }) => medianMs);
}

function predicted(partitions, blockMs) {
  return partitions.map(([first, last]) => sum(blockMs.slice(first, last + 1)));
}

/** What a partition takes beside its blocks: a call, and what crosses into and out of it. */
function cutCosts(partitions, { blocks, calibration }) {
  const bytesAfter = (index) =>
    index < 0 || index === blocks.length - 1 ? 0 : blocks[index].outputBytes;
  return partitions.map(
    ([first, last]) =>
      calibration.callOverheadMs +
      calibration.msPerCutByte * (bytesAfter(first - 1) + bytesAfter(last)),
  );
}

/** The same of plans as wholes: the sum of their partitions. */
function plansOf(partitions, times) {
  const plans = [];
  for (const [index, [first]] of partitions.entries()) {
    if (first === 0) plans.push(0);
    plans[plans.length - 1] += times[index];
  }
  return plans;
}

function errorsOf(predictedMs, measuredMs) {
  const errors = predictedMs.map((ms, index) => Math.abs(ms / measuredMs[index] - 1));
  return {
    median: rounded(quantile(errors, 0.5)),
    p90: rounded(quantile(errors, 0.9)),
    p95: rounded(quantile(errors, 0.95)),
  };
}

function report({ model, profile, partitions, confirmedMs }, measuredMs) {
  const raw = profile.blocks.map((block) => block.rawMedianMs);
  const scaled = raw.map((ms) => (ms * profile.wholeMs) / sum(raw));
  const calibrated = profile.blocks.map((block) => block.medianMs);
  const cutsMs = cutCosts(partitions, profile);
  const withCuts = predicted(partitions, calibrated).map((ms, index) => ms + cutsMs[index]);
  const errors = {
    raw: errorsOf(predicted(partitions, raw), measuredMs),
    scaled: errorsOf(predicted(partitions, scaled), measuredMs),
    calibrated: errorsOf(predicted(partitions, calibrated), measuredMs),
    withCuts: errorsOf(withCuts, measuredMs),
    confirmed: errorsOf(confirmedMs, measuredMs),
  };
  const isLarge = profile.wholeMs > LARGE_MODEL_MS;
  const ok =
    errors.confirmed.median <= CONFIRMED_MEDIAN_MAX &&
    errors.confirmed.p95 <= CONFIRMED_P95_MAX &&
    (!isLarge || errors.calibrated.p90 <= CALIBRATED_P90_MAX);
  const result = {
    name: "fidelity",
    model: model.name,
    blocks: profile.blocks.length,
    wholeMs: rounded(profile.wholeMs),
    rawSumRatio: rounded(profile.calibration.rawSumMs / profile.wholeMs),
    residualPercent: profile.calibration.residualPercent,
    method: profile.calibration.method,
    partitions: partitions.length,
    // Of whole plans, in which a wrong share of one partition is another's.
    plans: {
      calibrated: errorsOf(
        plansOf(partitions, predicted(partitions, calibrated)),
        plansOf(partitions, measuredMs),
      ),
      withCuts: errorsOf(plansOf(partitions, withCuts), plansOf(partitions, measuredMs)),
      confirmed: errorsOf(plansOf(partitions, confirmedMs), plansOf(partitions, measuredMs)),
    },
    ...errors,
    noise: profile.noise.marks,
    ok,
  };
  console.log(JSON.stringify(result));
  if (!ok) process.exitCode = 1;
}

const random = seededRandom(SEED);
const waiting = [];
const finish = async () => {
  const subject = waiting.shift();
  await sleep(Math.max(0, subject.measuredAtMs + LATER_MS - performance.now()));
  report(subject, await measurePartitions(subject.model, subject.profile, subject.partitions));
};
for (const model of realModels()) {
  const profile = await benchmarkModel({ ...model, node: NODE }, OPTIONS, DEPS);
  const partitions = randomPartitions(profile.blocks.length, random);
  const confirmedMs = await measurePartitions(model, profile, partitions);
  waiting.push({ model, profile, partitions, confirmedMs, measuredAtMs: performance.now() });
  if (waiting.length > 2) await finish();
}
while (waiting.length > 0) await finish();
