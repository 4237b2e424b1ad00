import { decidePlan, isQuiet, type PolicyState, type Ruling, startPolicy } from "../drift/index.js";
import type { PlannedPartition, RankedPlan } from "../planner/index.js";
import type { Decision } from "../protocol/index.js";
import { nextStep } from "./episode.js";
import type { Case, JudgeDeps } from "./judge-deps.js";
import { isSamePlan, type Prospect, type Prospects, prospectsOf } from "./prospects.js";
import type { Track } from "./track.js";
import { FLUCTUATING } from "./watch.js";

export interface Ruled {
  ruling: Ruling;
  prospects: Prospects;
  policy: PolicyState;
  confirmation: Decision["confirmation"];
}

/**
 * Plans, and decides about the best plan. One that would replace another is measured first on the nodes
 * that would run it; a plan that nothing runs in place of is published at once and measured then.
 */
export function rule(now: Case, track: Track, deps: JudgeDeps): Ruled {
  const { pipeline } = now;
  const prospects = prospectsOf(pipeline, now);
  const first = decide(now, track, { prospects, deps });
  const { enabled, roundsMax, timeoutMs } = deps.confirm.options();
  const decided = { ruling: first.verdict as Ruling, policy: first.state, prospects };
  if (!enabled) return { ...decided, confirmation: undefined };

  const { current, best } = prospects;
  const missing = missingOf(best);
  if (first.verdict.kind !== "publish" || current === null) {
    track.episode = track.episode?.kind === "given up" ? track.episode : undefined;
    deps.confirm.want(pipeline, isNear(first.verdict) ? missing : missingOf(current));
    return { ...decided, confirmation: confirmationOf(best, urgency(missing)) };
  }
  const { episode, step } = nextStep(track.episode, {
    missing,
    standing: (node) => deps.confirm.standing(pipeline.model.sha256, node),
    nowMs: deps.clock.monotonicMs(),
    limits: { roundsMax, timeoutMs },
  });
  track.episode = episode;
  deps.confirm.want(pipeline, step.kind === "wait" ? step.open : missingOf(current));
  switch (step.kind) {
    case "publish":
      return { ...decided, confirmation: confirmationOf(best, step.unconfirmed) };
    case "wait": {
      const { gainPercent } = first.verdict;
      const ruling: Ruling = { kind: "confirm", gainPercent, what: step.what };
      return { ...decided, ruling, confirmation: confirmationOf(best, undefined) };
    }
    case "give up":
      return withoutConfirmation(now, track, { ...decided, why: step.why, deps });
  }
}

/** The best of what was measured is taken, where it is better than what is in force. */
function withoutConfirmation(
  now: Case,
  track: Track,
  given: Omit<Ruled, "confirmation"> & { why: string; deps: JudgeDeps },
): Ruled {
  const { why, deps } = given;
  const { situation } = now;
  const problem = { ...situation.problem, onlyMeasured: true };
  const prospects = prospectsOf(now.pipeline, { ...now, situation: { ...situation, problem } });
  const { verdict, state: policy } = decide(now, track, { prospects, deps });
  const isNothing =
    verdict.kind === "infeasible" || (verdict.kind === "keep" && verdict.because === "same");
  if (!isNothing) {
    const confirmation = confirmationOf(prospects.best, undefined);
    return { ruling: verdict, policy, prospects, confirmation };
  }
  const { best } = given.prospects;
  const gainPercent = "gainPercent" in given.ruling ? given.ruling.gainPercent : null;
  return {
    ruling: { kind: "unconfirmed", gainPercent, why },
    policy,
    prospects: given.prospects,
    confirmation: confirmationOf(best, why),
  };
}

function decide(
  { pipeline, triggers }: Case,
  track: Track,
  { prospects, deps }: { prospects: Prospects; deps: JudgeDeps },
): ReturnType<typeof decidePlan> {
  const { current, best } = prospects;
  const nowMs = deps.clock.monotonicMs();
  return decidePlan(
    track.policy ?? startPolicy(nowMs),
    {
      nowMs,
      current: current?.outlook ?? null,
      best: best?.outlook ?? null,
      isSame: current !== null && best !== null && isSamePlan(current.plan, best.plan),
      isLasting: triggers.some(({ kind }) => !FLUCTUATING.has(kind) && kind !== "stale"),
      isQuiet: isQuiet(pipeline.thresholds.quietHours, deps.clock.nowMs()),
      allPublications: deps.publications.all,
    },
    pipeline.thresholds,
  );
}

/** Will be published, or is about to be. */
function isNear(ruling: Ruling): boolean {
  if (ruling.kind === "publish" || ruling.kind === "defer") return true;
  return ruling.kind === "keep" && (ruling.because === "holding" || ruling.because === "quiet");
}

function urgency(missing: readonly PlannedPartition[]): string | undefined {
  return missing.length === 0 ? undefined : "nothing else could run; it is measured now";
}

function missingOf(prospect: Prospect | null): PlannedPartition[] {
  return prospect?.plan.partitions.filter(({ estimateMs }) => estimateMs === undefined) ?? [];
}

function confirmationOf(
  prospect: Prospect | null,
  reason: string | undefined,
): Decision["confirmation"] {
  if (prospect === null) return undefined;
  const confirmed = missingOf(prospect).length === 0;
  return {
    confirmed,
    ...computeMsOf(prospect.plan),
    ...(confirmed || reason === undefined
      ? {}
      : { reason: reason.slice(0, REASON_CHARACTERS_MAX) }),
  };
}

const REASON_CHARACTERS_MAX = 2_000;

function computeMsOf({ partitions }: RankedPlan): {
  estimatedComputeMs: number;
  computeMs: number;
} {
  return {
    estimatedComputeMs: partitions.reduce(
      (sum, { computeMs, estimateMs }) => sum + (estimateMs ?? computeMs),
      0,
    ),
    computeMs: partitions.reduce((sum, { computeMs }) => sum + computeMs, 0),
  };
}
