import type { Clock, Logger } from "../core/index.js";
import {
  afterPublication,
  decidePlan,
  isQuiet,
  type PolicyState,
  type Publications,
  startPolicy,
  tell,
  type Verdict,
  withPublication,
} from "../drift/index.js";
import type { RankedPlan } from "../planner/index.js";
import type { Decision, PlanDocument, Trigger } from "../protocol/index.js";
import { type StoreState, withDecision } from "../store/index.js";
import { type Bar, type Bars, barTriggers, rolloutTrigger } from "./bars.js";
import type { Context } from "./context.js";
import { type Loads, underLoad } from "./loads.js";
import { type Pipeline, type Situation, situationOf } from "./problem.js";
import { isSamePlan, pricedNow, type Prospects, prospectsOf } from "./prospects.js";
import type { PlanRollouts } from "./rollout.js";
import { changesOf, look, startWatch, type Watch } from "./watch.js";

/** What changes all the time by itself. */
const FLUCTUATING: ReadonlySet<Trigger["kind"]> = new Set(["link", "load"]);
/** A plan that stays is told of at most this often: links change all the time. */
const DECLINED_PAUSE_MS = 5_000;
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
  /** How busy nodes are. */
  loads: Loads;
  /** When plans of any pipeline came into force. */
  publications: { all: Publications };
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
  policy: PolicyState | undefined;
  retryAtMs: number;
  /** Why the plan in force stayed, as it was recorded last; undefined since there was no doubt. */
  declined: string | undefined;
  declinedAtMs: number;
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
    policy: undefined,
    retryAtMs: Number.NEGATIVE_INFINITY,
    declined: undefined,
    declinedAtMs: Number.NEGATIVE_INFINITY,
    bars: [],
    abortedCount: 0,
    isAborted: false,
  };
}

/** Looks at one pipeline: plans, decides, and publishes where it is worth it. */
export async function judge(
  pipeline: Pipeline,
  track: Track,
  { isSettling, deps }: { isSettling: boolean; deps: JudgeDeps },
): Promise<void> {
  if (pipeline.isPaused === true || deps.rollouts.isUnderWay(pipeline.name)) return;
  const inForce = planInForce(pipeline, deps);
  const bars = deps.bars.of(pipeline.model.sha256, inForce, deps.clock.monotonicMs());
  const idle = situationOf(pipeline, deps.context);
  if ("missing" in idle) {
    track.problem = `pipeline ${pipeline.name}: ${idle.missing}`;
    return;
  }
  if (inForce !== null) deps.loads.assign(pipeline, inForce, idle.problem);
  const situation = underLoad(idle, pipeline, {
    loads: deps.loads,
    nowMs: deps.clock.monotonicMs(),
  });
  const triggers = triggersOf({ pipeline, situation, inForce, bars, track }, deps);
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
  const { pipeline, situation, triggers } = now;
  const nowMs = deps.clock.monotonicMs();
  const prospects = prospectsOf(pipeline, now);
  const { current, best, infeasible } = prospects;
  const { state, verdict } = decidePlan(
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
  track.policy = state;
  track.problem =
    verdict.kind === "infeasible"
      ? `pipeline ${pipeline.name}: ${infeasible ?? "no plan"}`
      : undefined;

  if (verdict.kind === "publish" && best !== null) {
    const told = triggers.length > 0 ? triggers : changesOf(track.watch, now, nowMs);
    await publish(
      { now: { ...now, triggers: told }, best: pricedNow(best.plan, situation), track },
      prospects,
      {
        verdict,
        deps,
      },
    );
  } else {
    if (!isNews(verdict, { triggers, track, nowMs })) return;
    track.declined = reasonOf(verdict);
    track.declinedAtMs = nowMs;
    await record(decisionOf(now, { verdict, prospects }, deps), deps);
    if (isPassing(verdict)) return;
  }
  track.declined = undefined;
  track.bars = now.bars;
  track.watch = startWatch(pipeline, situation, nowMs);
}

/** Whether the plan's staying is worth a record: something has changed, and it was not told just now. */
function isNews(
  verdict: Verdict,
  { triggers, track, nowMs }: { triggers: readonly Trigger[]; track: Track; nowMs: number },
): boolean {
  if (triggers.length === 0) return false;
  if (isPassing(verdict) && track.declined === reasonOf(verdict)) return false;
  const isFluctuation = triggers.every(({ kind }) => FLUCTUATING.has(kind));
  return !isFluctuation || nowMs - track.declinedAtMs >= DECLINED_PAUSE_MS;
}

function reasonOf(verdict: Verdict): string {
  return verdict.kind === "keep" ? verdict.because : verdict.kind;
}

/** Time alone may change this verdict, so what led to it is not done with. */
function isPassing(verdict: Verdict): boolean {
  if (verdict.kind === "defer") return true;
  return verdict.kind === "keep" && ["unproven", "holding", "quiet"].includes(verdict.because);
}

/** One more than the highest ever given, also where that plan was withdrawn. */
function nextRevisionOf(pipeline: Pipeline, deps: JudgeDeps): number {
  const stored = deps.store.state.pipelines.find(({ name }) => name === pipeline.name);
  return (stored?.revision ?? 0) + 1;
}

/** Has the best plan brought into force; the decision is recorded when it is. */
async function publish(
  { now, best, track }: { now: Case; best: RankedPlan; track: Track },
  prospects: Prospects,
  { verdict, deps }: { verdict: Verdict; deps: JudgeDeps },
): Promise<void> {
  const draft = await deps.draft(now.pipeline, best);
  const revision = nextRevisionOf(now.pipeline, deps);
  const decision = { ...decisionOf(now, { verdict, prospects }, deps), revision };
  track.isAborted = false;
  // Pipelines that are judged after this one find the nodes as busy as it will make them.
  deps.loads.assign(now.pipeline, { revision, partitions: best.partitions }, now.situation.idle);
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
      const nowMs = deps.clock.monotonicMs();
      track.policy = afterPublication(track.policy ?? startPolicy(nowMs), nowMs);
      deps.publications.all = withPublication(deps.publications.all, nowMs);
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

function decisionOf(
  now: Case,
  { verdict, prospects }: { verdict: Verdict; prospects: Prospects },
  deps: JudgeDeps,
): Decision {
  const { pipeline, triggers, inForce } = now;
  const told = {
    triggers,
    revision: inForce?.revision ?? null,
    currentLatencyMs: prospects.current?.outlook.expectedMs ?? null,
    bestLatencyMs: prospects.best?.outlook.expectedMs ?? null,
  };
  const summary = tell({
    ...told,
    verdict,
    nextRevision: nextRevisionOf(pipeline, deps),
    infeasible: prospects.infeasible,
    options: pipeline.thresholds,
  });
  return {
    ...told,
    at: deps.clock.nowMs(),
    pipeline: pipeline.name,
    triggers: [...triggers],
    verdict: VERDICTS[verdict.kind],
    gainPercent: verdict.kind === "infeasible" ? null : verdict.gainPercent,
    summary,
  };
}

const VERDICTS = {
  publish: "published",
  keep: "kept",
  defer: "deferred",
  infeasible: "infeasible",
} as const;
