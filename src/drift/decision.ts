/** What is known when a new plan stands beside the one in force. All latencies are in the new context. */
export interface Choice {
  /** Null: there is no plan in force, or it cannot run any more. */
  currentLatencyMs: number | null;
  /** Null: no plan meets the constraints. */
  bestLatencyMs: number | null;
  /** The best plan is the one in force. */
  isSame: boolean;
  /** Since the last publication; null before the first. */
  sinceLastPublishMs: number | null;
}

export type ChoiceVerdict =
  | { kind: "publish"; gainPercent: number | null }
  | { kind: "keep"; gainPercent: number; because: "same" | "gainTooSmall" }
  | { kind: "defer"; gainPercent: number; waitMs: number }
  | { kind: "infeasible" };

/**
 * Publish, keep or wait. A plan that cannot run any more is replaced at once, whatever the gain; any
 * other publication needs `minGainPercent` in the new context and the end of the cooldown.
 */
export function decide(
  choice: Choice,
  limits: { minGainPercent: number; cooldownMs: number },
): ChoiceVerdict {
  if (choice.bestLatencyMs === null) return { kind: "infeasible" };
  if (choice.currentLatencyMs === null) return { kind: "publish", gainPercent: null };

  const gainPercent = gainOf(choice.currentLatencyMs, choice.bestLatencyMs);
  if (choice.isSame) return { kind: "keep", gainPercent, because: "same" };
  if (gainPercent <= 0 || gainPercent < limits.minGainPercent) {
    return { kind: "keep", gainPercent, because: "gainTooSmall" };
  }
  const waitMs = limits.cooldownMs - (choice.sinceLastPublishMs ?? Number.POSITIVE_INFINITY);
  if (waitMs > 0) return { kind: "defer", gainPercent, waitMs };
  return { kind: "publish", gainPercent };
}

function gainOf(currentLatencyMs: number, bestLatencyMs: number): number {
  if (currentLatencyMs === 0) return 0;
  return ((currentLatencyMs - bestLatencyMs) / currentLatencyMs) * 100;
}
