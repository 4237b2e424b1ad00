import { type Ruling, tell } from "../drift/index.js";
import type { Decision, Trigger } from "../protocol/index.js";
import { withDecision } from "../store/index.js";
import type { Case, JudgeDeps } from "./judge-deps.js";
import type { Pipeline } from "./problem.js";
import type { Ruled } from "./ruling.js";
import type { Track } from "./track.js";
import { FLUCTUATING } from "./watch.js";

/** A plan that stays is told of at most this often: links change all the time. */
const DECLINED_PAUSE_MS = 5_000;

/** Whether the plan's staying is worth a record: something has changed, and it was not told just now. */
export function isNews(
  ruling: Ruling,
  { triggers, track, nowMs }: { triggers: readonly Trigger[]; track: Track; nowMs: number },
): boolean {
  if (ruling.kind === "confirm" || ruling.kind === "unconfirmed") {
    return track.declined !== reasonOf(ruling);
  }
  if (isHeldBack(ruling)) {
    const isTold = track.declined === reasonOf(ruling);
    return !isTold && nowMs - track.declinedAtMs >= DECLINED_PAUSE_MS;
  }
  if (triggers.length === 0) return false;
  if (isPassing(ruling) && track.declined === reasonOf(ruling)) return false;
  const isFluctuation = triggers.every(({ kind }) => FLUCTUATING.has(kind));
  return !isFluctuation || nowMs - track.declinedAtMs >= DECLINED_PAUSE_MS;
}

/** By a rule that the user made, not by what is expected: he is told, also long after the change. */
function isHeldBack(ruling: Ruling): boolean {
  if (ruling.kind === "defer") return ruling.for === "rateLimit";
  return ruling.kind === "keep" && ruling.because === "quiet";
}

export function reasonOf(ruling: Ruling): string {
  switch (ruling.kind) {
    case "keep":
      return ruling.because;
    case "confirm":
      return `confirm ${ruling.what}`;
    case "unconfirmed":
      return `unconfirmed ${ruling.why}`;
    case "defer":
    case "infeasible":
    case "publish":
      return ruling.kind;
  }
}

/** Time alone may change this ruling, so what led to it is not done with. */
export function isPassing(ruling: Ruling): boolean {
  if (["defer", "confirm", "unconfirmed"].includes(ruling.kind)) return true;
  return ruling.kind === "keep" && ["unproven", "holding", "quiet"].includes(ruling.because);
}

/** One more than the highest ever given, also where that plan was withdrawn. */
export function nextRevisionOf(pipeline: Pipeline, deps: JudgeDeps): number {
  const stored = deps.store.state.pipelines.find(({ name }) => name === pipeline.name);
  return (stored?.revision ?? 0) + 1;
}

/** Leaves a decision record. */
export async function record(decision: Decision, deps: JudgeDeps): Promise<void> {
  await deps.store.update((state) => withDecision(state, decision));
  deps.onDecision(decision);
}

/** What was decided, and why, as a record. */
export function decisionOf(
  now: Case,
  { ruling, prospects, confirmation }: Ruled,
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
    verdict: ruling,
    confirmation,
    nextRevision: nextRevisionOf(pipeline, deps),
    infeasible: prospects.infeasible,
    options: pipeline.thresholds,
  });
  return {
    ...told,
    at: deps.clock.nowMs(),
    pipeline: pipeline.name,
    triggers: [...triggers],
    verdict: VERDICTS[ruling.kind],
    gainPercent: ruling.kind === "infeasible" ? null : ruling.gainPercent,
    ...(confirmation === undefined ? {} : { confirmation }),
    summary,
  };
}

const VERDICTS = {
  publish: "published",
  keep: "kept",
  defer: "deferred",
  confirm: "confirming",
  unconfirmed: "kept",
  infeasible: "infeasible",
} as const;
