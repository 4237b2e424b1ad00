import { printable } from "../core/index.js";
import type { Replay, ReplayDecision, Tuning } from "../replay/index.js";
import { formatMs, renderTable } from "./table.js";

const DECISION_COLUMNS_MAX = 400;

/** The document that `replay --json` prints. */
export function replayJson(replay: Replay, decisions: readonly ReplayDecision[]): string {
  const { adaptive, static: kept, bestStatic, tracker, oracle } = replay;
  return `${JSON.stringify({
    meanLatencyMs: {
      adaptive: adaptive.meanLatencyMs,
      static: kept.meanLatencyMs,
      bestStatic: bestStatic.meanLatencyMs,
      tracker: tracker.meanLatencyMs,
      oracle: oracle.meanLatencyMs,
    },
    switches: {
      adaptive: adaptive.switches,
      tracker: tracker.switches,
      oracle: oracle.switches,
    },
    decisions,
  })}\n`;
}

/** Each decision with its second, then what the ways of choosing plans come to. */
export function replayReport(replay: Replay, decisions: readonly ReplayDecision[]): string {
  const lines = decisions.map(
    ({ second, summary, verdict, bestPlan }) =>
      `${second} s  ${printable(summary, DECISION_COLUMNS_MAX)}${
        verdict === "published" ? `\n      ${printable(bestPlan, DECISION_COLUMNS_MAX)}` : ""
      }\n`,
  );
  const courses = [
    ["adaptive", replay.adaptive],
    ["static", replay.static],
    ["best static", replay.bestStatic],
    ["tracker", replay.tracker],
    ["oracle", replay.oracle],
  ] as const;
  const rows = courses.map(([name, { meanLatencyMs, switches }]) => [
    name,
    formatMs(meanLatencyMs),
    String(switches),
  ]);
  const table = renderTable(
    ["", "mean latency", "switches"],
    rows,
    new Set(["mean latency", "switches"]),
  );
  return `${lines.join("")}${lines.length > 0 ? "\n" : ""}${table}`;
}

/** The proposal as YAML for the configuration, and what it is worth on what it was not made for. */
export function tuningReport({ proposed, judged, isBetter }: Tuning): string {
  const rows = (["present", "proposed", "tracker"] as const).map((name) => [
    name === "tracker" ? name : `${name} thresholds`,
    formatMs(judged[name].meanLatencyMs),
    String(judged[name].switches),
  ]);
  const numeric = new Set(["mean latency", "switches"]);
  const table = renderTable(["on the second half", "mean latency", "switches"], rows, numeric);
  const yaml = Object.entries(proposed).map(([name, value]) => `  ${name}: ${value}\n`);
  const verdict = isBetter
    ? "Better on the second half, too:"
    : "No better on the second half, so keep what you have; best on the first half was:";
  return `${table}\n${verdict}\nthresholds:\n${yaml.join("")}`;
}
