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
import { LIKENESS, predictCuts } from "./cut-choice.js";

const data = process.env.SCISSIOND_DATA;
if (data === undefined) {
  console.error("set SCISSIOND_DATA");
  process.exit(1);
}
const WORTHWHILE_SHARE = 0.02;

const readText = (...path) => {
  const file = join(data, "data", ...path);
  return { path: file, name: path.at(-1), text: readFileSync(file, "utf8") };
};
const round = (value) => Math.round(value * 1_000) / 1_000;

/** The traces as they are, and what else they might have been: the defaults were chosen by the former. */
const DERIVED = {
  "as recorded": (trace) => trace,
  reversed: (trace) => trace.toReversed(),
  "second half first": (trace) => [
    ...trace.slice(trace.length / 2),
    ...trace.slice(0, trace.length / 2),
  ],
  "half as fast": (trace) => trace.map((mbps) => mbps / 2),
  "twice as fast": (trace) => trace.map((mbps) => mbps * 2),
  "each second twice": (trace) => trace.flatMap((mbps) => [mbps, mbps]),
};

function replayAll(switchMs, derive) {
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
        results.push(replayTrace(scene, derive(parseTrace(trace)), { policy, switchMs }));
      }
    }
  }
  return results;
}

for (const [traces, switchMs] of Object.keys(DERIVED).flatMap((name) => [
  [name, 0],
  [name, 200],
])) {
  const all = replayAll(switchMs, DERIVED[traces]);
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
      traces,
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

/** How much worse than the best cut of each condition the chosen ones are, by measured totals. */
function overOracle(conditions, likeness) {
  let [chosen, best] = [0, 0];
  for (const condition of conditions) {
    const [, rows] = condition;
    const predicted = predictCuts(condition, conditions, likeness);
    chosen += rows[predicted.indexOf(Math.min(...predicted))][1];
    best += Math.min(...rows.map(([, totalMs]) => totalMs));
  }
  return chosen / best - 1;
}

/** The best cut for each network and load of the processors, known in hindsight: what nobody can beat by much. */
function hindsight(conditions) {
  const groups = new Map();
  for (const condition of conditions) {
    const [digits] = condition;
    const load = `${digits[0]}${digits[1]}${digits[4]}`;
    groups.set(load, [...(groups.get(load) ?? []), condition]);
  }
  let [fixed, best] = [0, 0];
  for (const group of groups.values()) {
    const totals = new Map();
    for (const [, rows] of group) {
      best += Math.min(...rows.map(([, totalMs]) => totalMs));
      for (const [cut, totalMs] of rows) totals.set(cut, [...(totals.get(cut) ?? []), totalMs]);
    }
    const complete = [...totals.values()].filter((all) => all.length === group.length);
    fixed += Math.min(...complete.map((all) => all.reduce((sum, ms) => sum + ms, 0)));
  }
  return fixed / best - 1;
}

const LIKENESSES = [0.05, 0.1, 0.2, 0.4];
const measured = readdirSync(join(data, "data", "adaptive"))
  .sort()
  .map((name) => {
    const conditions = Object.entries(JSON.parse(readText("adaptive", name).text).conditions);
    const byLikeness = LIKENESSES.map((likeness) => overOracle(conditions, likeness));
    return { model: name.replace(".json", ""), conditions, byLikeness };
  });
for (const one of measured) {
  // The one parameter as the other models alone would have chosen it.
  const others = measured.filter((other) => other !== one);
  const sums = LIKENESSES.map((_, i) =>
    others.reduce((sum, other) => sum + other.byLikeness[i], 0),
  );
  const chosen = sums.indexOf(Math.min(...sums));
  console.log(
    JSON.stringify({
      bench: "choice of a cut under measured conditions",
      model: one.model,
      conditions: one.conditions.length,
      overOracle: round(overOracle(one.conditions, LIKENESS)),
      likenessOfOtherModels: LIKENESSES[chosen],
      overOracleWithIt: round(one.byLikeness[chosen]),
      fixedCutPerLoadInHindsight: round(hindsight(one.conditions)),
    }),
  );
}
