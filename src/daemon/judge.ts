import type { Clock, Logger } from "../core/index.js";
import { decide } from "../drift/index.js";
import { pricePlan, type RankedPlan } from "../planner/index.js";
import type { Decision, PlanDocument, Trigger } from "../protocol/index.js";
import { type StoreState, withDecision } from "../store/index.js";
import { type Bar, type Bars, barTriggers, isBarred, rolloutTrigger } from "./bars.js";
import type { Context } from "./context.js";
import { type Pipeline, type Situation, situationOf } from "./problem.js";
import { bestPlan } from "./rank.js";
import type { PlanRollouts } from "./rollout.js";
import { look, startWatch, type Watch } from "./watch.js";
import { type Story, tell } from "./words.js";

const MS_PER_SECOND = 1_000;
const ABORT_PAUSE_MS = 5_000;
const ABORT_PAUSE_MS_MAX = 300_000;

export interface JudgeDeps {
  context: Context;
  store: {
    readonly state: StoreState;
    update(change: (state: StoreState) => StoreState): Promise<void>;
  };
  /** Turns a ranked plan into the document that runtimes get; makes its sub-models. */
  draft: (pipeline: Pipeline, plan: RankedPlan) => Promise<PlanDraft>;
  rollouts: PlanRollouts;
  bars: Bars;
  /** Called after the store holds the new state. */
  onPublished: (pipeline: string) => void;
  onDecision: (decision: Decision) => void;
  clock: Clock;
  log: Logger;
}

export type PlanDraft = Omit<PlanDocument, "epoch" | "revision" | "publishedAt" | "reason">;

/** What is remembered of one pipeline between two looks. */
export interface Track {
  watch: Watch | undefined;
  problem: string | undefined;
  publishedAtMs: number | null;
  retryAtMs: number;
  /** A deferred decision is recorded once, not at every look. */
  isDeferred: boolean;
  /** In force at the last judgement. */
  bars: readonly Bar[];
  /** Rollouts in a row that came to nothing and taught nothing; each makes the next pause longer. */
  abortedCount: number;
  /** The last rollout came to nothing and has not been judged yet. */
  isAborted: boolean;
}

export function newTrack(): Track {
  return {
    watch: undefined,
    problem: undefined,
    publishedAtMs: null,
    retryAtMs: Number.NEGATIVE_INFINITY,
    isDeferred: false,
    bars: [],
    abortedCount: 0,
    isAborted: false,
  };
}

/** Looks at one pipeline; where there is a reason, plans, decides and publishes. */
export async function judge(
  pipeline: Pipeline,
  track: Track,
  { isSettling, deps }: { isSettling: boolean; deps: JudgeDeps },
): Promise<void> {
  if (deps.rollouts.isUnderWay(pipeline.name)) return;
  const inForce = planInForce(pipeline, deps);
  const bars = deps.bars.of(pipeline.model.sha256, inForce, deps.clock.monotonicMs());
  const situation = situationOf(pipeline, deps.context);
  if ("missing" in situation) {
    track.problem = `pipeline ${pipeline.name}: ${situation.missing}`;
    return;
  }
  const triggers = triggersOf({ pipeline, situation, inForce, bars, track }, deps);
  if (triggers.length === 0) return;
  if (
    isSettling &&
    track.watch === undefined &&
    inForce !== null &&
    !isAllThere(inForce, situation)
  ) {
    return;
  }
  await settle({ pipeline, situation, inForce, bars, triggers }, track, deps);
}

function planInForce(pipeline: Pipeline, deps: JudgeDeps): PlanDocument | null {
  return deps.store.state.pipelines.find(({ name }) => name === pipeline.name)?.plan ?? null;
}

function triggersOf(now: Omit<Case, "triggers"> & { track: Track }, deps: JudgeDeps): Trigger[] {
  const { pipeline, situation, inForce, bars, track } = now;
  if (track.watch === undefined) {
    const subject = inForce === null ? "first plan" : "start of the daemon";
    return [{ kind: "initial", subject, before: null, after: null, unit: "" }];
  }
  const nowMs = deps.clock.monotonicMs();
  const { watch, triggers } = look(track.watch, { pipeline, situation, nowMs });
  track.watch = watch;
  triggers.push(...barTriggers(track.bars, bars));
  if (track.isAborted && triggers.length === 0) triggers.push(rolloutTrigger("the next try"));
  return triggers;
}

function isAllThere(plan: PlanDocument, situation: Situation): boolean {
  const present = new Set(situation.problem.nodes.map((node) => node.name));
  return plan.partitions.every((partition) => present.has(partition.node));
}

interface Case {
  pipeline: Pipeline;
  situation: Situation;
  inForce: PlanDocument | null;
  bars: readonly Bar[];
  triggers: Trigger[];
}

/** Plans, compares in the new context, and publishes or declines; leaves a decision record. */
async function settle(now: Case, track: Track, deps: JudgeDeps): Promise<void> {
  const { pipeline, situation, inForce, triggers } = now;
  const options = pipeline.thresholds;
  const { best, infeasible } = bestPlan(situation.problem, now.bars);
  const current = inForce === null ? null : priceInForce(inForce, now);
  const verdict = decide(
    {
      currentLatencyMs: current?.latencyMs ?? null,
      bestLatencyMs: best?.latencyMs ?? null,
      isSame: current !== null && best !== null && isSamePlan(current, best),
      sinceLastPublishMs:
        track.publishedAtMs === null ? null : deps.clock.monotonicMs() - track.publishedAtMs,
    },
    {
      minGainPercent: options.minGainPercent,
      cooldownMs: options.cooldownSeconds * MS_PER_SECOND,
    },
  );
  const story: Story = {
    triggers,
    verdict,
    revision: inForce?.revision ?? null,
    nextRevision: nextRevisionOf(pipeline, deps),
    currentLatencyMs: current?.latencyMs ?? null,
    bestLatencyMs: best?.latencyMs ?? null,
    infeasible,
    minGainPercent: options.minGainPercent,
  };
  track.problem =
    verdict.kind === "infeasible"
      ? `pipeline ${pipeline.name}: ${infeasible ?? "no plan"}`
      : undefined;

  switch (verdict.kind) {
    case "defer":
      if (!track.isDeferred) await record(decisionOf(now, story, deps), deps);
      track.isDeferred = true;
      return;
    case "publish":
      if (best !== null) await publish({ now, best, track }, story, deps);
      break;
    case "keep":
    case "infeasible":
      await record(decisionOf(now, story, deps), deps);
      break;
  }
  track.isDeferred = false;
  track.bars = now.bars;
  track.watch = startWatch(pipeline, situation);
}

/** The plan in force at the prices of now; null where it cannot run any more. */
function priceInForce(plan: PlanDocument, now: Case): RankedPlan | null {
  if (plan.model.sha256 !== now.pipeline.model.sha256) return null;
  if (isBarred(now.bars, plan.partitions)) return null;
  const priced = pricePlan(now.situation.problem, {
    source: plan.source,
    partitions: plan.partitions,
  });
  return "infeasible" in priced ? null : priced;
}

function isSamePlan(one: RankedPlan, other: RankedPlan): boolean {
  return (
    one.partitions.length === other.partitions.length &&
    one.partitions.every((partition, index) => {
      const twin = other.partitions[index];
      return partition.node === twin?.node && partition.lastLayer === twin.lastLayer;
    })
  );
}

/** One more than the highest ever given, also where that plan was withdrawn. */
function nextRevisionOf(pipeline: Pipeline, deps: JudgeDeps): number {
  const stored = deps.store.state.pipelines.find(({ name }) => name === pipeline.name);
  return (stored?.revision ?? 0) + 1;
}

/** Has the best plan brought into force; the decision is recorded when it is. */
async function publish(
  { now, best, track }: { now: Case; best: RankedPlan; track: Track },
  story: Story,
  deps: JudgeDeps,
): Promise<void> {
  const draft = await deps.draft(now.pipeline, best);
  const revision = story.nextRevision;
  const decision = { ...decisionOf(now, story, deps), revision };
  track.isAborted = false;
  await deps.rollouts.publish({
    plan: {
      ...draft,
      epoch: deps.store.state.epoch,
      revision,
      publishedAt: deps.clock.nowMs(),
      reason: decision.summary,
    },
    decision,
    mayReturn: true,
    onInForce() {
      track.publishedAtMs = deps.clock.monotonicMs();
      track.abortedCount = 0;
    },
    onAborted(isBarred) {
      track.isAborted = true;
      if (isBarred) return;
      track.abortedCount += 1;
      const pauseMs = ABORT_PAUSE_MS * 2 ** (track.abortedCount - 1);
      track.retryAtMs = deps.clock.monotonicMs() + Math.min(pauseMs, ABORT_PAUSE_MS_MAX);
    },
  });
}

async function record(decision: Decision, deps: JudgeDeps): Promise<void> {
  await deps.store.update((state) => withDecision(state, decision));
  deps.onDecision(decision);
}

function decisionOf(now: Case, story: Story, deps: JudgeDeps): Decision {
  const { verdict } = story;
  return {
    at: deps.clock.nowMs(),
    pipeline: now.pipeline.name,
    triggers: now.triggers,
    verdict: VERDICTS[verdict.kind],
    currentLatencyMs: story.currentLatencyMs,
    bestLatencyMs: story.bestLatencyMs,
    gainPercent: verdict.kind === "infeasible" ? null : verdict.gainPercent,
    revision: story.revision,
    summary: tell(story),
  };
}

const VERDICTS = {
  publish: "published",
  keep: "kept",
  defer: "deferred",
  infeasible: "infeasible",
} as const;
