import { type DriftOptions, linkKey, type Moment, tell } from "../drift/index.js";
import type { RankedPlan } from "../planner/index.js";
import type { Trigger } from "../protocol/index.js";
import { momentBefore, type Scene } from "./scene.js";
import type { Replay } from "./simulate.js";

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
  { looks, moments }: Pick<Replay, "looks" | "moments">,
  { scene, options }: { scene: Scene; options: DriftOptions },
): ReplayDecision[] {
  const decisions: ReplayDecision[] = [];
  let revision = 1;
  let planned = momentBefore(scene);
  let told = "";
  for (const look of looks) {
    const { verdict } = look;
    const newest = moments[look.second - 1] ?? planned;
    const isPublished = verdict.kind === "publish";
    const bestPlan = describePlan(look.best);
    const story = `${bestPlan}: ${verdict.kind === "keep" ? verdict.because : verdict.kind}`;
    const isBest = verdict.kind === "keep" && verdict.because === "same";
    const isNews = !isBest && (isPublished || story !== told);
    told = isBest || isPublished ? "" : story;
    if (!isNews || verdict.kind === "infeasible") continue;
    const currentLatencyMs = look.outlooks.current.expectedMs;
    const bestLatencyMs = look.outlooks.best.expectedMs;
    const summary = tell({
      triggers: largestChange(scene, planned, newest),
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
      planned = newest;
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

/** An outage has no logarithm. */
const TINY_MBPS = 1e-6;
const VERDICTS = { publish: "published", keep: "kept", defer: "deferred" } as const;

/** The link whose bandwidth changed most since the plan in force was made. */
function largestChange({ problem }: Scene, before: Moment, after: Moment): Trigger[] {
  const changes = problem.links.flatMap((link) => {
    const [was, is] = [before, after].map(
      (moment) => moment.links.get(linkKey(link))?.bandwidthMbps ?? 0,
    );
    if (was === undefined || is === undefined || was === is) return [];
    return [{ link, was, is, size: Math.abs(Math.log((is + TINY_MBPS) / (was + TINY_MBPS))) }];
  });
  const [largest] = changes.sort((a, b) => b.size - a.size);
  if (largest === undefined) return [];
  const subject = `bandwidth ${largest.link.from} → ${largest.link.to}`;
  return [{ kind: "link", subject, before: largest.was, after: largest.is, unit: "Mbps" }];
}

/** "layers 0–3 on cam-1 → 4–25 on gpu-1". */
function describePlan(plan: RankedPlan): string {
  const parts = plan.partitions.map(
    ({ node, firstLayer, lastLayer }) => `${firstLayer}–${lastLayer} on ${node}`,
  );
  return `layers ${parts.join(" → ")}`;
}
