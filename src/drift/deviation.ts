import { strict as assert } from "node:assert";

/** What is watched of one metric on behalf of one plan. */
export interface Deviation {
  /** The value the current plan was made with. */
  readonly baseline: number;
  /** Since when the metric has been beyond its threshold without a break; null while it is within. */
  readonly sinceMs: number | null;
}

export type DriftVerdict =
  | { kind: "steady" }
  /** Beyond the threshold, but not yet for long enough. */
  | { kind: "holding"; readyAtMs: number }
  | { kind: "drifted"; before: number; after: number; heldMs: number };

export interface DeviationLimits {
  changePercent: number;
  /** In the metric's own unit; smaller changes never count. */
  changeAbsolute: number;
  holdMs: number;
}

export function startDeviation(baseline: number): Deviation {
  return { baseline, sinceMs: null };
}

/**
 * Looks at the smoothed value of a metric at one moment. It has drifted once it was beyond the
 * threshold, relative and absolute, at every look for `holdMs`. `nowMs` is monotonic.
 */
export function observe(
  state: Deviation,
  look: { value: number; nowMs: number },
  limits: DeviationLimits,
): { state: Deviation; verdict: DriftVerdict } {
  assert(state.baseline >= 0, "a baseline is a cost, so it is not negative");
  const change = Math.abs(look.value - state.baseline);
  const isBeyond =
    change > limits.changeAbsolute && change > (state.baseline * limits.changePercent) / 100;
  if (!isBeyond) return { state: startDeviation(state.baseline), verdict: { kind: "steady" } };

  const sinceMs = state.sinceMs ?? look.nowMs;
  const heldMs = look.nowMs - sinceMs;
  const held: Deviation = { baseline: state.baseline, sinceMs };
  if (heldMs < limits.holdMs) {
    return { state: held, verdict: { kind: "holding", readyAtMs: sinceMs + limits.holdMs } };
  }
  return {
    state: held,
    verdict: { kind: "drifted", before: state.baseline, after: look.value, heldMs },
  };
}
