import type { Clock, Logger } from "../core/index.js";
import { decide } from "../drift/index.js";
import { pricePlan, type RankedPlan, rankPlans } from "../planner/index.js";
import type { Decision, PlanDocument, Trigger } from "../protocol/index.js";
import { type StoreState, withDecision, withPipeline } from "../store/index.js";
import type { Context } from "./context.js";
import { type Pipeline, type Situation, situationOf } from "./problem.js";
import { look, startWatch, type Watch } from "./watch.js";
import { type Story, tell } from "./words.js";

const MS_PER_SECOND = 1_000;

export interface JudgeDeps {
  context: Context;
  store: {
    readonly state: StoreState;
    update(change: (state: StoreState) => StoreState): Promise<void>;
  };
  /** Turns a ranked plan into the document that runtimes get; makes its sub-models. */
  draft: (pipeline: Pipeline, plan: RankedPlan) => Promise<PlanDraft>;
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
}

export function newTrack(): Track {
  return {
    watch: undefined,
    problem: undefined,
    publishedAtMs: null,
    retryAtMs: Number.NEGATIVE_INFINITY,
    isDeferred: false,
  };
}

/** Looks at one pipeline; where there is a reason, plans, decides and publishes. */
export async function judge(
  pipeline: Pipeline,
  track: Track,
  { isSettling, deps }: { isSettling: boolean; deps: JudgeDeps },
): Promise<void> {
  const inForce = planInForce(pipeline, deps);
  const situation = situationOf(pipeline, deps.context);
  if ("missing" in situation) {
    track.problem = `pipeline ${pipeline.name}: ${situation.missing}`;
    return;
  }
  const triggers = triggersOf({ pipeline, situation, inForce, track }, deps);
  if (triggers.length === 0) return;
  if (
    isSettling &&
    track.watch === undefined &&
    inForce !== null &&
    !isAllThere(inForce, situation)
  ) {
    return;
  }
  await settle({ pipeline, situation, inForce, triggers }, track, deps);
}

function planInForce(pipeline: Pipeline, deps: JudgeDeps): PlanDocument | null {
  return deps.store.state.pipelines.find(({ name }) => name === pipeline.name)?.plan ?? null;
}

function triggersOf(
  now: { pipeline: Pipeline; situation: Situation; inForce: PlanDocument | null; track: Track },
  deps: JudgeDeps,
): Trigger[] {
  const { pipeline, situation, inForce, track } = now;
  if (track.watch === undefined) {
    const subject = inForce === null ? "first plan" : "start of the daemon";
    return [{ kind: "initial", subject, before: null, after: null, unit: "" }];
  }
  const nowMs = deps.clock.monotonicMs();
  const { watch, triggers } = look(track.watch, { pipeline, situation, nowMs });
  track.watch = watch;
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
  triggers: Trigger[];
}

/** Plans, compares in the new context, and publishes or declines; leaves a decision record. */
async function settle(now: Case, track: Track, deps: JudgeDeps): Promise<void> {
  const { pipeline, situation, inForce, triggers } = now;
  const options = pipeline.thresholds;
  const { plans, infeasible } = rankPlans(situation.problem);
  const best = plans[0] ?? null;
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
      if (best !== null) await publish({ pipeline, best }, story, { now, deps });
      track.publishedAtMs = deps.clock.monotonicMs();
      break;
    case "keep":
    case "infeasible":
      await record(decisionOf(now, story, deps), deps);
      break;
  }
  track.isDeferred = false;
  track.watch = startWatch(pipeline, situation);
}

/** The plan in force at the prices of now; null where it cannot run any more. */
function priceInForce(plan: PlanDocument, now: Case): RankedPlan | null {
  if (plan.model.sha256 !== now.pipeline.model.sha256) return null;
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

/** Persists the new revision first, then tells everybody. */
async function publish(
  chosen: { pipeline: Pipeline; best: RankedPlan },
  story: Story,
  { now, deps }: { now: Case; deps: JudgeDeps },
): Promise<void> {
  const { pipeline, best } = chosen;
  const draft = await deps.draft(pipeline, best);
  const revision = story.nextRevision;
  const decision = decisionOf(now, story, deps);
  const plan: PlanDocument = {
    ...draft,
    epoch: deps.store.state.epoch,
    revision,
    publishedAt: deps.clock.nowMs(),
    reason: decision.summary,
  };
  const published = { ...decision, revision };
  await deps.store.update((state) => {
    const planned = withPipeline(state, { name: pipeline.name, revision, plan });
    return { ...withDecision(planned, published), links: deps.context.rememberableLinks() };
  });
  deps.onPublished(pipeline.name);
  deps.onDecision(published);
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
