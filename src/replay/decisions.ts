import { type DriftOptions, tell } from "../drift/index.js";
import type { RankedPlan } from "../planner/index.js";
import type { Trigger } from "../protocol/index.js";
import type { Look } from "./simulate.js";
import type { Trace } from "./trace.js";

/** One decision of the policy, taken or declined. */
export interface ReplayDecision {
  second: number;
  verdict: "published" | "kept" | "deferred";
  /** What the plan in force and the best plan are expected to take. */
  currentLatencyMs: number;
  bestLatencyMs: number;
  gainPercent: number;
  /** In force after the decision; the plan from before the trace is revision 1. */
  revision: number;
  /** The plan in force before the decision, and the best one. */
  currentPlan: string;
  bestPlan: string;
  /** One sentence for people. */
  summary: string;
}

/**
 * What the policy did and what it declined, in order. A decline is told when another plan becomes the
 * best, and again only when the reason to decline it changes.
 */
export function decisionsOf(
  looks: readonly Look[],
  { trace, options }: { trace: Trace; options: DriftOptions },
): ReplayDecision[] {
  const decisions: ReplayDecision[] = [];
  let revision = 1;
  let plannedMbps: number | null = null;
  let told = "";
  for (const look of looks) {
    const { verdict } = look;
    const mbps = trace[look.second - 1] ?? 0;
    const isPublished = verdict.kind === "publish";
    const bestPlan = describePlan(look.best);
    const story = `${bestPlan}: ${verdict.kind === "keep" ? verdict.because : verdict.kind}`;
    const isBest = verdict.kind === "keep" && verdict.because === "same";
    const isNews = !isBest && (isPublished || story !== told);
    told = isBest || isPublished ? "" : story;
    if (!isNews || verdict.kind === "infeasible") continue;
    const trigger: Trigger = {
      kind: "link",
      subject: "bandwidth",
      before: plannedMbps,
      after: mbps,
      unit: "Mbps",
    };
    const currentLatencyMs = look.outlooks.current.expectedMs;
    const bestLatencyMs = look.outlooks.best.expectedMs;
    const summary = tell({
      triggers: [trigger],
      verdict,
      revision,
      nextRevision: revision + 1,
      currentLatencyMs,
      bestLatencyMs,
      infeasible: null,
      options,
    });
    if (isPublished) {
      revision += 1;
      plannedMbps = mbps;
    }
    decisions.push({
      second: look.second,
      verdict: VERDICTS[verdict.kind],
      currentLatencyMs,
      bestLatencyMs,
      gainPercent: verdict.gainPercent ?? 0,
      revision,
      currentPlan: describePlan(look.current),
      bestPlan,
      summary,
    });
  }
  return decisions;
}

const VERDICTS = { publish: "published", keep: "kept", defer: "deferred" } as const;

/** "layers 0–3 on cam-1 → 4–25 on gpu-1". */
function describePlan(plan: RankedPlan): string {
  const parts = plan.partitions.map(
    ({ node, firstLayer, lastLayer }) => `${firstLayer}–${lastLayer} on ${node}`,
  );
  return `layers ${parts.join(" → ")}`;
}
