// How good the policy's decisions are, by outcome. Two sets of real measurements under SCISSIOND_DATA:
// cellular traces x the models of Scission's benchmarks (replayed), and AdaptiveDNN's measured latency
// of every cut under changing network and load.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { driftOptionsSchema } from "../../dist/drift/index.js";
import {
  buildQuery,
  loadProfiles,
  parseLinks,
  SCISSION_COST_MODEL,
  SCISSION_INPUT_BYTES,
} from "../../dist/planner/index.js";
import { parseTrace, replayTrace } from "../../dist/replay/index.js";

const data = process.env.SCISSIOND_DATA;
if (data === undefined) {
  console.error("set SCISSIOND_DATA");
  process.exit(1);
}
const WORTHWHILE_SHARE = 0.02;
/** A condition that differs in one more respect tells this much less. */
const WEIGHT_PER_DIFFERENCE = 1 / 4;

const readText = (...path) => {
  const file = join(data, "data", ...path);
  return { path: file, name: path.at(-1), text: readFileSync(file, "utf8") };
};
const round = (value) => Math.round(value * 1_000) / 1_000;

function replayAll(switchMs) {
  const measurements = readdirSync(join(data, "data", "scission"))
    .filter((name) => /^(device|edge|cloud)-.*\.json$/.test(name))
    .map((name) => readText("scission", name));
  const traces = readdirSync(join(data, "data", "traces")).map((name) => readText("traces", name));
  const policy = driftOptionsSchema.parse(switchMs > 0 ? { switchCostMs: switchMs } : {});
  const results = [];
  for (const network of ["network_stats.csv", "network_stats_wired.csv"]) {
    const links = parseLinks(readText("scission", network));
    for (const model of Object.keys(JSON.parse(measurements[0].text))) {
      // The first block stays on the device, so that the network matters.
      const { problem } = buildQuery(loadProfiles(measurements, model), links, {
        costModel: SCISSION_COST_MODEL,
        criteria: { device: "!-1" },
        uploadMegabytes: {},
        times: {},
        inputBytes: SCISSION_INPUT_BYTES,
        topK: 1,
        paths: [],
        objective: "latency",
      });
      const varied = [
        ["device", "edge"],
        ["device", "cloud"],
      ];
      for (const trace of traces) {
        const scene = { problem, varied, fallbackMs: policy.fallbackMs };
        results.push(replayTrace(scene, parseTrace(trace), { policy, switchMs }));
      }
    }
  }
  return results;
}

for (const switchMs of [0, 200]) {
  const all = replayAll(switchMs);
  const cases = all.filter(
    ({ static: kept, oracle }) =>
      kept.meanLatencyMs - oracle.meanLatencyMs > WORTHWHILE_SHARE * kept.meanLatencyMs,
  );
  const mean = (of) => cases.reduce((sum, one) => sum + of(one), 0) / cases.length;
  const gain = (course) => mean((one) => 1 - one[course].meanLatencyMs / one.static.meanLatencyMs);
  const worst = Math.max(
    ...all.map(({ adaptive, bestStatic }) => adaptive.meanLatencyMs / bestStatic.meanLatencyMs),
  );
  console.log(
    JSON.stringify({
      bench: "policy on cellular traces",
      switchMs,
      cases: cases.length,
      gainOverStatic: { adaptive: round(gain("adaptive")), tracker: round(gain("tracker")) },
      shareOfTrackersGain: round(gain("adaptive") / gain("tracker")),
      shareOfTrackersSwitches: round(
        mean((one) => one.adaptive.switches) / mean((one) => one.tracker.switches),
      ),
      worstAgainstBestStatic: round(worst - 1),
    }),
  );
}

/** The middle of values by weight. */
function weightedMedian(weighted) {
  const sorted = weighted.toSorted((a, b) => a.value - b.value);
  const half = sorted.reduce((sum, { weight }) => sum + weight, 0) / 2;
  let sum = 0;
  for (const { value, weight } of sorted) {
    sum += weight;
    if (sum >= half) return value;
  }
  return Number.POSITIVE_INFINITY;
}

/**
 * The cut that looks best: computing as benchmarked under this condition; transfer as seen under other
 * conditions of the same network, those that are alike first. Never the measured total.
 */
function chooseCut(condition, conditions) {
  const [digits, rows] = condition;
  const others = conditions
    .filter(([other]) => other !== digits && other[0] === digits[0])
    .map(([other, measured]) => ({
      weight: WEIGHT_PER_DIFFERENCE ** [...other].filter((digit, i) => digit !== digits[i]).length,
      transferMs: new Map(
        measured.map(([cut, totalMs, edgeMs, cloudMs]) => [cut, totalMs - edgeMs - cloudMs]),
      ),
    }));
  const predicted = rows.map(([cut, measuredMs, edgeMs, cloudMs]) => {
    const seen = others.flatMap(({ weight, transferMs }) =>
      transferMs.has(cut) ? [{ weight, value: transferMs.get(cut) }] : [],
    );
    return { measuredMs, predictedMs: edgeMs + cloudMs + weightedMedian(seen) };
  });
  return predicted.reduce((a, b) => (b.predictedMs < a.predictedMs ? b : a));
}

for (const name of readdirSync(join(data, "data", "adaptive")).sort()) {
  const conditions = Object.entries(JSON.parse(readText("adaptive", name).text).conditions);
  const total = (of) => conditions.reduce((sum, condition) => sum + of(condition), 0);
  const oracle = total(([, rows]) => Math.min(...rows.map(([, totalMs]) => totalMs)));
  const policy = total((condition) => chooseCut(condition, conditions).measuredMs);
  console.log(
    JSON.stringify({
      bench: "choice of a cut under measured conditions",
      model: name.replace(".json", ""),
      conditions: conditions.length,
      overOracle: round(policy / oracle - 1),
    }),
  );
}
