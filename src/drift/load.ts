import { strict as assert } from "node:assert";
import { addSample, type Estimate } from "./estimate.js";

/** Up to this utilisation the formula of processor sharing holds; beyond it goes on along its tangent. */
const KNEE = 0.9;
const KNEE_FACTOR = 1 / (1 - KNEE);
/** Slope of 1 / (1 − ρ) at the knee. */
const KNEE_SLOPE = KNEE_FACTOR ** 2;
/** No node is taken to be slower than this, however many requests are planned onto it. */
export const LOAD_FACTOR_MAX = 1_000;

/** A node whose runtime is busy is planned with as at least this full, a factor of 4, ... */
const BUSY_UTILISATION = 0.75;
/** ... for so long after the runtime said so the last time. Benchmarks make room for less long. */
const FULL_AFTER_BUSY_MS = 30_000;
/** Reports are smoothed over this long. */
const REPORT_HALF_LIFE_MS = 5_000;
/**
 * Without reports a load is remembered in full for this long, and then halves each time as much has
 * passed; longer where it came back.
 */
export const LOAD_HALF_LIFE_MS = 60_000;
const LOAD_HALF_LIFE_MS_MAX = 3_600_000;
/** A node this full is loaded: one that is again, after it was left alone, is left alone longer. */
const LOADED_UTILISATION = 0.3;
/** So many half-lives it was left alone; after more of them this is nothing that came back. */
const RELAPSE_HALF_LIVES = { least: 0.5, most: 10 };
/** Less than this is nothing. */
const UTILISATION_MIN = 0.01;
/** The middle one of so many reports counts, so that no single one does anything. */
const REPORTS = 3;
/** Block profiles tell the time of a partition no better than this. */
const TOLERANCE_PERCENT = 20;
/** What a runtime needs around the computing itself. */
const OVERHEAD_MS = 2;

/**
 * How many times as long a node takes that is busy with others for this share of the time: processor
 * sharing, 1 / (1 − ρ). Beyond 90 % along the tangent, so that of two nodes that are asked for more than
 * they have the fuller one still looks worse. From 1 to `LOAD_FACTOR_MAX`.
 */
export function slowdownAt(utilisation: number): number {
  assert(utilisation >= 0, "nobody is busy for less than none of the time");
  if (utilisation <= KNEE) return 1 / (1 - utilisation);
  return Math.min(KNEE_FACTOR + KNEE_SLOPE * (utilisation - KNEE), LOAD_FACTOR_MAX);
}

/** The utilisation at which a node is so many times slower. */
function utilisationAt(slowdown: number): number {
  if (slowdown <= KNEE_FACTOR) return 1 - 1 / slowdown;
  return KNEE + (Math.min(slowdown, LOAD_FACTOR_MAX) - KNEE_FACTOR) / KNEE_SLOPE;
}

/** A stage as its runtime measured it, and what the plans explain of its node's load. */
export interface StageLoad {
  measuredMs: number;
  /** On the idle node. */
  predictedMs: number;
  /** Share of the time that the stage's own pipeline keeps the node busy. */
  own: number;
  /** The same of all other pipelines. */
  others: number;
}

/**
 * Share of the time that a node is busy with what no plan explains. What the stage's own requests make
 * each other wait is divided out, since they would do so on any node; what other pipelines add is
 * subtracted, since it goes where they go.
 */
export function unexplainedBy({ measuredMs, predictedMs, own, others }: StageLoad): number {
  assert(predictedMs > 0, "a stage that takes no time shows no load");
  const usualMs = predictedMs * (1 + TOLERANCE_PERCENT / 100) * slowdownAt(own);
  const slowdown = (measuredMs - OVERHEAD_MS) / usualMs;
  if (slowdown <= 1) return 0;
  return Math.max(0, utilisationAt(slowdown) - others);
}

/** What is known of one node from its runtime's reports. Times are monotonic milliseconds. */
export interface NodeLoad {
  /** The newest reports, the oldest first; a node is idle until reports say otherwise. */
  readonly recent: readonly number[];
  readonly estimate: Estimate;
  readonly halfLifeMs: number;
  /** When a report last showed it loaded; null: never. */
  readonly loadedAtMs: number | null;
  readonly busyUntilMs: number;
}

/**
 * Takes one report. Where a node is loaded again after it had been left alone, as what loads it comes
 * and goes with the plans themselves, its load is remembered twice as long: plans do not swing.
 */
export function observeLoad(
  state: NodeLoad | undefined,
  report: { utilisation: number; isBusy: boolean; nowMs: number },
): NodeLoad {
  const { nowMs, isBusy } = report;
  const utilisation = isBusy ? Math.max(report.utilisation, BUSY_UTILISATION) : report.utilisation;
  const known = state === undefined || isForgotten(state, nowMs) ? undefined : state;
  const before = known?.recent ?? Array<number>(REPORTS - 1).fill(0);
  const recent = [...before, utilisation].slice(-REPORTS);
  const value = middleOf(recent);
  const isLoaded = value >= LOADED_UTILISATION;
  const halfLifeMs = state?.halfLifeMs ?? LOAD_HALF_LIFE_MS;
  const loadedAtMs = state?.loadedAtMs ?? null;
  return {
    recent,
    estimate: addSample(known?.estimate, { value, atMs: nowMs }, REPORT_HALF_LIFE_MS),
    halfLifeMs: isLoaded ? nextHalfLifeMs(halfLifeMs, loadedAtMs, nowMs) : halfLifeMs,
    loadedAtMs: isLoaded ? nowMs : loadedAtMs,
    busyUntilMs: isBusy ? nowMs + FULL_AFTER_BUSY_MS : nowMs,
  };
}

/** Share of the time that the node is busy with what no plan explains; 0 once it is forgotten. */
export function loadAt(state: NodeLoad, nowMs: number): number {
  const pastMs = Math.max(0, nowMs - state.estimate.atMs - state.halfLifeMs);
  const aged = state.estimate.mean * 2 ** (-pastMs / state.halfLifeMs);
  const floor = nowMs < state.busyUntilMs ? BUSY_UTILISATION : 0;
  const utilisation = Math.max(aged, floor);
  return utilisation < UTILISATION_MIN ? 0 : utilisation;
}

/**
 * One of `sharers` pipelines has left the node. What no plan explains is taken to be caused by all of
 * them alike, so that they do not leave together; the only one takes nothing along, or it would come
 * back at once.
 */
export function relieved(state: NodeLoad, sharers: number): NodeLoad {
  if (sharers <= 1) return state;
  const rest = (sharers - 1) / sharers;
  return {
    ...state,
    recent: state.recent.map((utilisation) => utilisation * rest),
    estimate: { ...state.estimate, mean: state.estimate.mean * rest },
    busyUntilMs: state.estimate.atMs,
  };
}

function isForgotten(state: NodeLoad, nowMs: number): boolean {
  return nowMs - state.estimate.atMs > state.halfLifeMs;
}

function nextHalfLifeMs(halfLifeMs: number, loadedAtMs: number | null, nowMs: number): number {
  if (loadedAtMs === null) return halfLifeMs;
  const pause = (nowMs - loadedAtMs) / halfLifeMs;
  if (pause > RELAPSE_HALF_LIVES.most) return LOAD_HALF_LIFE_MS;
  if (pause < RELAPSE_HALF_LIVES.least) return halfLifeMs;
  return Math.min(2 * halfLifeMs, LOAD_HALF_LIFE_MS_MAX);
}

function middleOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
