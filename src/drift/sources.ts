import { matchesGlob } from "../core/index.js";
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
/**
 * Who has missed two reports, with half of its usual pause to spare, says nothing about whether the link
 * is down. One that was lost is no silence: reports may go with QoS 0.
 */
const PAUSES_MAX = 2.5;
/** Nobody falls silent sooner, however quickly he reported before. */
const SILENT_MS_MIN = 1_000;
/** How much of its longest pause a source is still granted after each shorter one. */
const PAUSE_KEPT = 0.75;

/** The weight of a source; 0 where no rule fits. */
export function sourceWeight(rules: SourceRules, source = UNNAMED_SOURCE): number {
  return rules.find(({ match }) => matchesGlob(match, source))?.weight ?? 0;
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
  /** About the longest of its recent pauses; undefined before the second report. */
  readonly pauseMs: number | undefined;
}

/**
 * Takes one report and tells what all recent sources together say of what it reports. A link with one
 * source is as that source says. Of two the weightier one holds, their middle where they weigh alike.
 * Of more it is their weighted median, kept between the second lowest and the second highest value: so
 * one that lies never moves it beyond what the others say. The link is down when those that say so weigh
 * more than all others together that still report; see `saysDown`.
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
  const nowMs = others.reduce((ms, reading) => Math.max(ms, newestMs(reading)), newestMs(own));
  const readings = [...others.filter((reading) => nowMs - newestMs(reading) <= FRESH_MS), own];
  const kept = readings.slice(-SOURCES_MAX);
  return { readings: kept, combined: kept.length === 1 ? report : combinedReport(kept, report) };
}

function combinedReport(readings: readonly SourceReading[], report: LinkReport): LinkReport {
  const nowMs = Math.max(...readings.map(newestMs));
  const isDown = saysDown(readings, nowMs);
  // Whoever was outvoted about it has nothing else to say.
  const believed = isDown ? readings : readings.filter((reading) => !tellsOutage(reading));
  const combinedOf = (
    metric: "rttMs" | "secondsPerMegabit" | "lossPercent",
  ): number | undefined => {
    const values = believed.flatMap(({ weight, [metric]: reading }) =>
      reading === undefined || nowMs - reading.atMs > FRESH_MS
        ? []
        : [{ value: reading.value, weight }],
    );
    return values.length === 0 ? undefined : combine(values);
  };
  const rttMs = report.rttMs === undefined ? undefined : combinedOf("rttMs");
  const lossPercent = report.lossPercent === undefined ? undefined : combinedOf("lossPercent");
  const isRate = report.bandwidthMbps !== undefined || isOutage(report);
  const secondsPerMegabit = isRate && !isDown ? combinedOf("secondsPerMegabit") : undefined;
  return {
    ...(rttMs === undefined ? {} : { rttMs }),
    ...(isDown ? { bandwidthMbps: 0 } : {}),
    ...(secondsPerMegabit === undefined ? {} : { bandwidthMbps: 1 / secondsPerMegabit }),
    ...(lossPercent === undefined ? {} : { lossPercent }),
  };
}

/**
 * Whether those that still report take the link to be down: by a strict majority of their weight, and
 * from `QUORUM` on never one alone, nor against one alone. In a true outage the source beyond it falls
 * silent and has no vote soon after, so a tie does not last. Who is silent still counts for the quorum as
 * long as its value is fresh: after a stall of the broker everybody was silent, and whoever is heard first
 * would decide alone. So an outage that one of three sees is told when the others are not fresh any more.
 */
function saysDown(readings: readonly SourceReading[], nowMs: number): boolean {
  const fresh = readings.filter((reading) => nowMs - newestMs(reading) <= FRESH_MS);
  const voters = fresh.filter((reading) => nowMs - newestMs(reading) <= silentMs(reading));
  if (fresh.length >= QUORUM) {
    const count = fresh.filter(tellsOutage).length;
    if (count <= 1) return false;
    if (count >= fresh.length - 1) return true;
  }
  const weigh = (of: readonly SourceReading[]): number =>
    of.reduce((sum, { weight }) => sum + weight, 0);
  return weigh(voters.filter(tellsOutage)) > weigh(voters) / 2;
}

function tellsOutage({ secondsPerMegabit }: SourceReading): boolean {
  return secondsPerMegabit?.value === Number.POSITIVE_INFINITY;
}

function silentMs({ pauseMs }: SourceReading): number {
  return pauseMs === undefined ? FRESH_MS : Math.max(SILENT_MS_MIN, pauseMs * PAUSES_MAX);
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
  const wasDown = old !== undefined && tellsOutage(old);
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
    pauseMs: old === undefined || isLate ? old?.pauseMs : usualPauseMs(old, atMs),
  };
}

function usualPauseMs(old: SourceReading, atMs: number): number {
  const pauseMs = atMs - newestMs(old);
  const known = old.pauseMs ?? pauseMs;
  return Math.max(pauseMs, PAUSE_KEPT * known + (1 - PAUSE_KEPT) * pauseMs);
}

function isOutage({ lossPercent, bandwidthMbps }: LinkReport): boolean {
  return lossPercent === 100 || bandwidthMbps === 0;
}

function newestMs({ rttMs, secondsPerMegabit, lossPercent }: SourceReading): number {
  return Math.max(atMsOf(rttMs), atMsOf(secondsPerMegabit), atMsOf(lossPercent));
}

function atMsOf(reading: Reading | undefined): number {
  return reading?.atMs ?? Number.NEGATIVE_INFINITY;
}
