import { strict as assert } from "node:assert";
import type { DriftOptions } from "./options.js";

/** What is watched of one metric on behalf of one plan. */
export interface Deviation {
  /** The value the current plan was made with. */
  readonly baseline: number;
  /** Since when the metric has been away without a break; null while it is not. */
  readonly sinceMs: number | null;
  readonly lookedAtMs: number | null;
  /** Change beyond half the threshold, upward and downward, added up: shares of the baseline × ms. */
  readonly sums: { readonly up: number; readonly down: number };
}

export type DriftVerdict =
  | { kind: "steady" }
  /** Beyond the threshold, but not yet for long enough. */
  | { kind: "holding"; readyAtMs: number }
  | { kind: "drifted"; before: number; after: number; heldMs: number };

export interface DeviationLimits {
  detector: DriftOptions["detector"];
  changePercent: number;
  /** In the metric's own unit; smaller changes never count. */
  changeAbsolute: number;
  /** A metric that is away comes back below the threshold by this share of it. */
  hysteresisPercent: number;
  holdMs: number;
}

/** A sum of changes covers at least this long, so that no single look decides. */
const SUM_MS_MIN = 1_000;
/** A look after a longer pause counts as if the pause had been this long. */
const PAUSE_MS_MAX = 10_000;

export function startDeviation(baseline: number): Deviation {
  return { baseline, sinceMs: null, lookedAtMs: null, sums: { up: 0, down: 0 } };
}

/**
 * Looks at the smoothed value of a metric at one moment; `nowMs` is monotonic.
 * `threshold`: it has drifted once it was beyond the threshold, relative and absolute, at every look
 * for `holdMs`; what is beyond stays so until it is below by the hysteresis.
 * `pageHinkley`: it has drifted once what exceeds half the threshold adds up to that half over
 * `holdMs`, a second at least (Page, "Continuous inspection schemes", 1954, in both directions).
 */
export function observe(
  state: Deviation,
  look: { value: number; nowMs: number },
  limits: DeviationLimits,
): { state: Deviation; verdict: DriftVerdict } {
  assert(state.baseline >= 0, "a baseline is a cost, so it is not negative");
  const sums = sumsOf(state, look, limits);
  const isAway = limits.detector === "threshold" ? isBeyond(state, look, limits) : isSumming(sums);
  const { baseline } = state;
  const looked = { baseline, sums, lookedAtMs: look.nowMs };
  if (!isAway) return { state: { ...looked, sinceMs: null }, verdict: { kind: "steady" } };

  const sinceMs = state.sinceMs ?? look.nowMs;
  const away: Deviation = { ...looked, sinceMs };
  const heldMs = look.nowMs - sinceMs;
  const share = limits.changePercent / 200;
  const isDrifted =
    limits.detector === "threshold"
      ? heldMs >= limits.holdMs
      : Math.max(sums.up, sums.down) > share * Math.max(limits.holdMs, SUM_MS_MIN);
  if (!isDrifted) {
    return { state: away, verdict: { kind: "holding", readyAtMs: sinceMs + limits.holdMs } };
  }
  return { state: away, verdict: { kind: "drifted", before: baseline, after: look.value, heldMs } };
}

function isBeyond(state: Deviation, look: { value: number }, limits: DeviationLimits): boolean {
  const change = Math.abs(look.value - state.baseline);
  const eased = state.sinceMs === null ? 1 : 1 - limits.hysteresisPercent / 100;
  const threshold = (state.baseline * limits.changePercent * eased) / 100;
  return change > limits.changeAbsolute * eased && change > threshold;
}

function isSumming({ up, down }: Deviation["sums"]): boolean {
  return up > 0 || down > 0;
}

function sumsOf(
  state: Deviation,
  look: { value: number; nowMs: number },
  limits: DeviationLimits,
): Deviation["sums"] {
  const change = look.value - state.baseline;
  if (Math.abs(change) <= limits.changeAbsolute || state.baseline === 0) return { up: 0, down: 0 };
  const passedMs = Math.min(look.nowMs - (state.lookedAtMs ?? look.nowMs), PAUSE_MS_MAX);
  const relative = change / state.baseline;
  const slack = limits.changePercent / 200;
  return {
    up: Math.max(0, state.sums.up + (relative - slack) * passedMs),
    down: Math.max(0, state.sums.down + (-relative - slack) * passedMs),
  };
}
