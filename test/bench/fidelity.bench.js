// How well profiles predict: real models cut at random into two or three partitions, predicted from raw
// block times, from scaled and from calibrated ones, with what the cuts cost, and from their own
// measurement, against a measurement in a new process at least a minute and one other model later.
// The targets are for what a model takes when cut (`plans`: the sum of its partitions, by which plans are
// compared); the single partitions, a wrong share of which is another's, are reported beside it (`parts`).
// Partitions are timed in turn with the whole model, and told for the speed at which that takes what the
// profile says, as the daemon compares them: what a neighbour of a shared machine takes from both is taken
// out. `asTimed` are the errors of confirmed plans with it left in, the moments of the machine included.
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

/** Ways to cut the model into two or three: of each, its partitions as [first, last] block. */
function randomPlans(blocks, random) {
  return Array.from({ length: PLANS }, (_, index) => {
    const cuts = new Set();
    const parts = Math.min(2 + (index % 2), blocks);
    while (cuts.size < parts - 1) cuts.add(1 + Math.floor(random() * (blocks - 1)));
    const starts = [0, ...[...cuts].sort((a, b) => a - b)];
    return starts.map((start, part) => [start, (starts[part + 1] ?? blocks) - 1]);
  });
}

/**
 * As an agent measures them when a plan is to be confirmed: median milliseconds of each partition, told for
 * the speed of the profile and as they were.
 */
async function measurePlans(model, { blocks, wholeMs }, plans) {
  const toldMs = [];
  const timedMs = [];
  for (const plan of plans) {
    const ranges = plan.map(([first, last]) => {
      return { firstLayer: blocks[first].firstLayer, lastLayer: blocks[last].lastLayer };
    });
    const measured = await measureRanges({ ...model, ranges, wholeMs }, OPTIONS, DEPS);
    const slower = measured.wholeMs / wholeMs;
    toldMs.push(...measured.ranges.map(({ medianMs }) => medianMs));
    timedMs.push(...measured.ranges.map(({ medianMs }) => medianMs * slower));
  }
  return { toldMs, timedMs };
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

/** The same of plans: the sums of their partitions. */
function sumsOf(plans, times) {
  let index = 0;
  return plans.map((plan) => sum(plan.map(() => times[index++])));
}

function errorsOf(predictedMs, measuredMs) {
  const errors = predictedMs.map((ms, index) => Math.abs(ms / measuredMs[index] - 1));
  return {
    median: rounded(quantile(errors, 0.5)),
    p90: rounded(quantile(errors, 0.9)),
    p95: rounded(quantile(errors, 0.95)),
  };
}

/** Of every way to predict, how far it is off. */
function allErrors(predictions, measuredMs, fold) {
  return Object.fromEntries(
    Object.entries(predictions).map(([name, times]) => [
      name,
      errorsOf(fold(times), fold(measuredMs)),
    ]),
  );
}

function report({ model, profile, plans, confirmed }, measured) {
  const measuredMs = measured.toldMs;
  const partitions = plans.flat();
  const raw = profile.blocks.map((block) => block.rawMedianMs);
  const scaled = raw.map((ms) => (ms * profile.wholeMs) / sum(raw));
  const calibrated = predicted(
    partitions,
    profile.blocks.map((block) => block.medianMs),
  );
  const cutsMs = cutCosts(partitions, profile);
  const predictions = {
    raw: predicted(partitions, raw),
    scaled: predicted(partitions, scaled),
    calibrated,
    withCuts: calibrated.map((ms, index) => ms + cutsMs[index]),
    confirmed: confirmed.toldMs,
  };
  const ofPlans = allErrors(predictions, measuredMs, (times) => sumsOf(plans, times));
  const ofParts = allErrors(predictions, measuredMs, (times) => times);
  const isLarge = profile.wholeMs > LARGE_MODEL_MS;
  const isWithin = ({ confirmed, calibrated }) =>
    confirmed.median <= CONFIRMED_MEDIAN_MAX &&
    confirmed.p95 <= CONFIRMED_P95_MAX &&
    (!isLarge || calibrated.p90 <= CALIBRATED_P90_MAX);
  const ok = isWithin(ofPlans);
  const result = {
    name: "fidelity",
    model: model.name,
    blocks: profile.blocks.length,
    wholeMs: rounded(profile.wholeMs),
    rawSumRatio: rounded(profile.calibration.rawSumMs / profile.wholeMs),
    residualPercent: profile.calibration.residualPercent,
    method: profile.calibration.method,
    plans: { count: plans.length, ...ofPlans, ok },
    asTimed: errorsOf(sumsOf(plans, confirmed.timedMs), sumsOf(plans, measured.timedMs)),
    parts: { count: partitions.length, ...ofParts, ok: isWithin(ofParts) },
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
  report(subject, await measurePlans(subject.model, subject.profile, subject.plans));
};
for (const model of realModels()) {
  const profile = await benchmarkModel({ ...model, node: NODE }, OPTIONS, DEPS);
  const plans = randomPlans(profile.blocks.length, random);
  const confirmed = await measurePlans(model, profile, plans);
  waiting.push({ model, profile, plans, confirmed, measuredAtMs: performance.now() });
  if (waiting.length > 1) await finish();
}
while (waiting.length > 0) await finish();
