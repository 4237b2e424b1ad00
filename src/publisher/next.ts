import type { PlanDocument } from "../protocol/index.js";
import type { Content, View } from "./content.js";
import type { Session } from "./session.js";

/** Whether the client wants to hear of this pipeline. */
export function wants(session: Session, pipeline: string): boolean {
  return session.pipelines?.has(pipeline) ?? true;
}

/** The pipelines of the view that this client subscribed to, with their revisions. */
export function visibleRevisions(session: Session, view: View): Map<string, number> {
  return new Map(visiblePlans(session, view).map((plan) => [plan.pipeline, plan.revision]));
}

function visiblePlans(session: Session, view: View): readonly PlanDocument[] {
  if (session.pipelines === undefined) return view.plans;
  return view.plans.filter((plan) => wants(session, plan.pipeline));
}

/** What to send now; undefined while a frame is in flight or when the client is up to date. */
export function nextContent(session: Session, view: View): Content | undefined {
  if (session.inFlight !== undefined) return undefined;
  const visible = visiblePlans(session, view);
  const sameEpoch = session.epoch === view.epoch;
  if (!session.greeted || !sameEpoch) {
    return {
      kind: "snapshot",
      revisions: visibleRevisions(session, view),
      plans: sameEpoch ? visible.filter((plan) => !isSettled(session, plan)) : visible,
    };
  }
  // What ends something comes first: it is little, and busy pipelines must not keep it waiting.
  return (
    nextRemoval(session, visible) ??
    (session.role === "runtime" ? nextEnding(session, visible, view) : undefined) ??
    nextPlan(session, visible) ??
    (session.role === "runtime" ? nextPreparation(session, view) : undefined)
  );
}

function nextRemoval(session: Session, visible: readonly PlanDocument[]): Content | undefined {
  if (session.held.size === 0) return undefined;
  const names = new Set(visible.map((plan) => plan.pipeline));
  for (const pipeline of session.held.keys()) {
    if (!names.has(pipeline)) return { kind: "removed", pipeline };
  }
  return undefined;
}

/** A preparation that came to nothing, or older plans that nobody needs any more. */
function nextEnding(
  session: Session,
  visible: readonly PlanDocument[],
  view: View,
): Content | undefined {
  for (const [pipeline, { revision }] of session.preparing) {
    const isCandidate = view.candidates?.some(({ plan }) => isRevision(plan, pipeline, revision));
    if (isCandidate === true) continue;
    const plan = visible.find((each) => each.pipeline === pipeline);
    // An older one was in force meanwhile: others may still send requests on it, until it is retired.
    if (plan !== undefined && plan.revision >= revision) continue;
    return { kind: "abort", pipeline, revision };
  }
  for (const plan of visible) {
    const { pipeline, revision } = plan;
    if (!session.unretired.has(pipeline) || session.held.get(pipeline) !== revision) continue;
    if (view.isLagging?.(plan) !== true) return { kind: "retire", pipeline, revision };
  }
  return undefined;
}

function isRevision(plan: PlanDocument, pipeline: string, revision: number): boolean {
  return plan.pipeline === pipeline && plan.revision === revision;
}

function isSettled(session: Session, plan: PlanDocument): boolean {
  const { pipeline, revision } = plan;
  // Equality, not order: a client may hold what a lost store no longer knows.
  return (
    session.held.get(pipeline) === revision || session.refused.get(pipeline)?.revision === revision
  );
}

function nextPlan(session: Session, visible: readonly PlanDocument[]): Content | undefined {
  const start = visible.findIndex((plan) => plan.pipeline === session.lastSent) + 1;
  for (let step = 0; step < visible.length; step += 1) {
    const plan = visible[(start + step) % visible.length];
    if (plan === undefined || isSettled(session, plan)) continue;
    return { kind: isReady(session, plan) ? "activate" : "update", plan };
  }
  return undefined;
}

function nextPreparation(session: Session, view: View): Content | undefined {
  const { node } = session;
  if (node === undefined) return undefined;
  for (const { plan, nodes } of view.candidates ?? []) {
    if (!nodes.has(node) || !wants(session, plan.pipeline) || isSettled(session, plan)) continue;
    // One at a time: an earlier one is aborted or retired first.
    if (session.preparing.has(plan.pipeline)) continue;
    return { kind: "prepare", plan };
  }
  return undefined;
}

/** Whether the runtime said that it has loaded this plan. */
export function isReady(session: Session, plan: PlanDocument): boolean {
  const preparation = session.preparing.get(plan.pipeline);
  return preparation?.revision === plan.revision && preparation.ready;
}
