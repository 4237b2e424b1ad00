import { forgetFirst } from "./forget-first.js";
import { isOwnSource, makeRoom } from "./known-reports.js";

/** Reports off by the same are the same clock if they differ by no more than this. */
const SPREAD_MS = 2_000;
/** So many of them in a row, over so long: what waited for a broker arrives at once, and proves nothing. */
const REPORTS_MIN = 5;
const SPAN_MS_MIN = 10_000;
/** After so long the reports in a row are counted anew, so that a clock that drifts is followed. */
const SPAN_MS_MAX = 600_000;

/** How far `at` may lie from the arrival, and how far a clock may be off and still be learnt. */
export interface AgeLimits {
  maxAgeSeconds: number;
  futureToleranceSeconds: number;
  clockSkewSecondsMax: number;
}

/** What is known of the clock of one source. Times are milliseconds. */
export interface ClockOffset {
  /** The shortest way its reports ever took, clocks included; undefined until that is known. */
  readonly learntMs: number | undefined;
  /** The last reports in a row whose ways differed little. */
  readonly run: { leastMs: number; mostMs: number; count: number; sinceMs: number };
}

/** Whether a report is recent enough to be taken, and its age if it is. */
export type AgeVerdict = { kind: "taken"; ageMs: number } | { kind: "too-old" | "future" };

/**
 * How old a report is whose `at` lies `offsetMs` before its arrival, by the daemon's clock; negative: after
 * it. A source whose clock is always off by the same amount shows so by the way of its reports: over ten
 * seconds and five reports in a row it differs by no more than two seconds. Ages are then counted from the
 * shortest of these ways. `nowMs` is monotonic.
 */
export function observeOffset(
  known: ClockOffset | undefined,
  { offsetMs, nowMs }: { offsetMs: number; nowMs: number },
  limits: AgeLimits,
): { offset: ClockOffset; verdict: AgeVerdict } {
  const run = withReport(known?.run, offsetMs, nowMs);
  const isProven = run.count >= REPORTS_MIN && nowMs - run.sinceMs >= SPAN_MS_MIN;
  const isPossible = Math.abs(run.leastMs) <= limits.clockSkewSecondsMax * 1_000;
  const learntMs = isProven && isPossible ? run.leastMs : known?.learntMs;
  if (learntMs !== undefined && isInTime(offsetMs - learntMs, limits)) {
    const ageMs = Math.max(0, offsetMs - learntMs);
    return { offset: { learntMs, run }, verdict: { kind: "taken", ageMs } };
  }
  // Not known yet, or the clock was set right since.
  if (isInTime(offsetMs, limits)) {
    const ageMs = Math.max(0, offsetMs);
    return { offset: { learntMs: undefined, run }, verdict: { kind: "taken", ageMs } };
  }
  return { offset: { learntMs, run }, verdict: { kind: offsetMs > 0 ? "too-old" : "future" } };
}

function withReport(
  run: ClockOffset["run"] | undefined,
  offsetMs: number,
  nowMs: number,
): ClockOffset["run"] {
  const leastMs = Math.min(run?.leastMs ?? offsetMs, offsetMs);
  const mostMs = Math.max(run?.mostMs ?? offsetMs, offsetMs);
  const isOne = mostMs - leastMs <= SPREAD_MS;
  if (run === undefined || !isOne || nowMs - run.sinceMs > SPAN_MS_MAX) {
    return { leastMs: offsetMs, mostMs: offsetMs, count: 1, sinceMs: nowMs };
  }
  return { leastMs, mostMs, count: run.count + 1, sinceMs: run.sinceMs };
}

function isInTime(ageMs: number, limits: AgeLimits): boolean {
  return ageMs <= limits.maxAgeSeconds * 1_000 && -ageMs <= limits.futureToleranceSeconds * 1_000;
}

type Clock = ClockOffset & { readonly heardMs: number };

interface LinkClocks {
  readonly own: Map<string, Clock>;
  readonly foreign: Map<string, Clock>;
}

/**
 * The clocks of the sources of each link, as few as `KnownReports` admits: one that finds no room is
 * judged by its clock as it is. So made-up sources cost no other its clock. Of too many links the one
 * that was heard longest ago is forgotten.
 */
export class ClockOffsets {
  readonly #limits: AgeLimits;
  readonly #linksMax: number;
  readonly #links = new Map<string, LinkClocks>();

  constructor(limits: AgeLimits, linksMax: number) {
    this.#limits = limits;
    this.#linksMax = linksMax;
  }

  observe(
    { from, to, source = "" }: { from: string; to: string; source?: string | undefined },
    report: { offsetMs: number; nowMs: number },
  ): AgeVerdict {
    const { own, foreign } = this.#clocksOf(`${from}/${to}`);
    const isOwn = isOwnSource({ from, to }, source);
    const clocks = isOwn ? own : foreign;
    const { offset, verdict } = observeOffset(clocks.get(source), report, this.#limits);
    if (isOwn || makeRoom(foreign, source, report.nowMs)) {
      const { learntMs, run } = offset;
      clocks.set(source, { learntMs, run, heardMs: report.nowMs });
    }
    return verdict;
  }

  /** The last one in is the one that was heard last. */
  #clocksOf(link: string): LinkClocks {
    const clocks = this.#links.get(link) ?? {
      own: new Map<string, Clock>(),
      foreign: new Map<string, Clock>(),
    };
    this.#links.delete(link);
    this.#links.set(link, clocks);
    if (this.#links.size > this.#linksMax) forgetFirst(this.#links);
    return clocks;
  }
}
