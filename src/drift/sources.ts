import { globPattern } from "../core/index.js";
import type { LinkReport } from "../protocol/index.js";
import type { SourceRules } from "./options.js";

/** What a report is taken to come from that names no source. */
export const UNNAMED_SOURCE = "unnamed";
/** Estimates from real transfers, which make bursts of probes unnecessary. */
export const PASSIVE_SOURCE = "runtime";
/** A value that is older than this beside newer ones of other sources counts no more. */
const FRESH_MS = 20_000;
/** Sources of one link that are kept apart; beyond, the one that was silent longest goes. */
const SOURCES_MAX = 8;
/** From so many on, one source alone never decides. */
const QUORUM = 3;

/** The weight of a source; 0 where no rule fits. */
export function sourceWeight(rules: SourceRules, source = UNNAMED_SOURCE): number {
  return rules.find(({ match }) => globPattern(match).test(source))?.weight ?? 0;
}

interface Reading {
  value: number;
  /** Monotonic. */
  atMs: number;
}

/** The newest of each that one source has told of a link. */
export interface SourceReading {
  readonly source: string;
  readonly weight: number;
  readonly rttMs: Reading | undefined;
  /** Infinite while it says that nothing passes. */
  readonly secondsPerMegabit: Reading | undefined;
  readonly lossPercent: Reading | undefined;
}

/**
 * Takes one report and tells what all recent sources together say of what it reports. A link with one
 * source is as that source says. Of two the weightier one holds, their middle where they weigh alike.
 * Of more it is their weighted median, kept between the second lowest and the second highest value: so
 * one that lies never moves it beyond what the others say.
 */
export function hearSource(
  known: readonly SourceReading[],
  report: LinkReport,
  from: { weight: number; atMs: number },
): { readings: readonly SourceReading[]; combined: LinkReport } {
  const { source = UNNAMED_SOURCE } = report;
  const own = withReport(
    known.find((reading) => reading.source === source),
    report,
    { source, ...from },
  );
  const others = known.filter((reading) => reading.source !== source);
  const nowMs = Math.max(...[own, ...others].map(newestMs));
  const readings = [...others.filter((reading) => nowMs - newestMs(reading) <= FRESH_MS), own];
  const kept = readings.slice(-SOURCES_MAX);
  return { readings: kept, combined: kept.length === 1 ? report : combinedReport(kept, report) };
}

function combinedReport(readings: readonly SourceReading[], report: LinkReport): LinkReport {
  const secondsPerMegabit = combinedOf(readings, "secondsPerMegabit");
  const rttMs = report.rttMs === undefined ? undefined : combinedOf(readings, "rttMs");
  const lossPercent =
    report.lossPercent === undefined ? undefined : combinedOf(readings, "lossPercent");
  const isDown = secondsPerMegabit === Number.POSITIVE_INFINITY;
  const isRate = isDown || report.bandwidthMbps !== undefined || isOutage(report);
  return {
    ...(rttMs === undefined ? {} : { rttMs }),
    ...(secondsPerMegabit === undefined || !isRate ? {} : { bandwidthMbps: 1 / secondsPerMegabit }),
    ...(lossPercent === undefined
      ? {}
      : { lossPercent: isDown ? lossPercent : below100(lossPercent) }),
  };
}

function combinedOf(
  readings: readonly SourceReading[],
  metric: "rttMs" | "secondsPerMegabit" | "lossPercent",
): number | undefined {
  const nowMs = Math.max(...readings.map(newestMs));
  const values = readings.flatMap(({ weight, [metric]: reading }) =>
    reading === undefined || nowMs - reading.atMs > FRESH_MS
      ? []
      : [{ value: reading.value, weight }],
  );
  return values.length === 0 ? undefined : combine(values);
}

/** The middle of weighted values, as `hearSource` says. At least one value; weights are positive. */
export function combine(values: readonly { value: number; weight: number }[]): number {
  const sorted = [...values].sort((a, b) => a.value - b.value);
  const half = sorted.reduce((sum, { weight }) => sum + weight, 0) / 2;
  let below = 0;
  let median = sorted.at(-1)?.value ?? Number.NaN;
  for (const [index, { value, weight }] of sorted.entries()) {
    below += weight;
    if (below < half) continue;
    const next = sorted[index + 1]?.value ?? value;
    median = below === half && next !== value ? (value + next) / 2 : value;
    break;
  }
  if (sorted.length < QUORUM) return median;
  const least = sorted[1]?.value ?? median;
  const most = sorted.at(-2)?.value ?? median;
  return Math.min(Math.max(median, least), most);
}

/** What was told before stays beside it, except that any sign of life ends an outage. */
function withReport(
  old: SourceReading | undefined,
  report: LinkReport,
  { source, weight, atMs }: { source: string; weight: number; atMs: number },
): SourceReading {
  const isDown = isOutage(report);
  const newer = (before: Reading | undefined, value: number | undefined): Reading | undefined =>
    value === undefined || (before !== undefined && before.atMs > atMs) ? before : { value, atMs };
  const wasDown = old?.secondsPerMegabit?.value === Number.POSITIVE_INFINITY;
  const isLate = old !== undefined && newestMs(old) > atMs;
  const isBack = wasDown && !isDown && !isLate;
  const rate = report.bandwidthMbps;
  return {
    source,
    weight,
    rttMs: newer(old?.rttMs, report.rttMs),
    secondsPerMegabit: newer(
      isBack ? undefined : old?.secondsPerMegabit,
      isDown ? Number.POSITIVE_INFINITY : rate === undefined ? undefined : 1 / rate,
    ),
    lossPercent: newer(isBack ? undefined : old?.lossPercent, report.lossPercent),
  };
}

function isOutage({ lossPercent, bandwidthMbps }: LinkReport): boolean {
  return lossPercent === 100 || bandwidthMbps === 0;
}

function newestMs({ rttMs, secondsPerMegabit, lossPercent }: SourceReading): number {
  const times = [rttMs, secondsPerMegabit, lossPercent].flatMap((reading) => reading?.atMs ?? []);
  return Math.max(...times);
}

/** A loss of 100 % would say that nothing passes, which the sources together deny. */
function below100(lossPercent: number): number {
  return Math.min(lossPercent, 99.9);
}
