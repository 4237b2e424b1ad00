import type { Partition, PlanDocument, Trigger } from "../protocol/index.js";
import { barTriggers, rolloutTrigger } from "./bars.js";
import { confirmedSituation } from "./confirmed-situation.js";
import { decisionOf, isNews, isPassing, reasonOf, record } from "./decision.js";
import type { Case, JudgeDeps } from "./judge-deps.js";
import { underLoad } from "./loads.js";
import { type Pipeline, type Situation, situationOf } from "./problem.js";
import { publish } from "./publish.js";
import { rule } from "./ruling.js";
import type { Track } from "./track.js";
import { changesOf, look, startWatch } from "./watch.js";

/** Looks at one pipeline: plans, decides, and publishes where it is worth it. */
export async function judge(
  pipeline: Pipeline,
  track: Track,
  { isSettling, deps }: { isSettling: boolean; deps: JudgeDeps },
): Promise<void> {
  if (pipeline.isPaused === true || deps.rollouts.isUnderWay(pipeline.name)) return;
  const inForce = planInForce(pipeline, deps);
  const bars = deps.bars.of(pipeline.model.sha256, inForce, deps.clock.monotonicMs());
  const plain = situationOf(pipeline, deps.context);
  if ("missing" in plain) {
    track.problem = `pipeline ${pipeline.name}: ${plain.missing}`;
    return;
  }
  const idle = confirmedSituation(plain, pipeline, deps);
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
  triggers.push(...barTriggers(track.bars, track.barsSince, bars), ...confirmTriggers(now, track));
  track.barsSince = [...new Set([...track.barsSince, ...bars])];
  if (track.isAborted && triggers.length === 0) triggers.push(rolloutTrigger("the next try"));
  return triggers;
}

/** A plan that was published before it was measured has been measured since. */
function confirmTriggers({ situation, inForce }: Omit<Case, "triggers">, track: Track): Trigger[] {
  if (inForce === null || inForce.revision === track.confirmedRevision) return [];
  if (inForce.partitions.every((partition) => partition.confirmed === true)) return [];
  if (!isMeasured({ situation, inForce })) return [];
  const before = inForce.partitions.reduce((sum, { computeMs }) => sum + computeMs, 0);
  const after = inForce.partitions.reduce(
    (sum, partition) => sum + (measuredMs(situation, partition) ?? 0),
    0,
  );
  const subject = `compute of revision ${inForce.revision}, as measured,`;
  return [{ kind: "compute", subject, before, after, unit: "ms" }];
}

function isMeasured({ situation, inForce }: Pick<Case, "situation" | "inForce">): boolean {
  const partitions = inForce?.partitions ?? [];
  return partitions.every((partition) => measuredMs(situation, partition) !== undefined);
}

function measuredMs(
  { problem }: Situation,
  { node, firstLayer, lastLayer }: Partition,
): number | undefined {
  const measured = problem.nodes.find(({ name }) => name === node)?.measured;
  return measured?.find((range) => range.firstLayer === firstLayer && range.lastLayer === lastLayer)
    ?.ms;
}

function isAllThere(plan: PlanDocument, situation: Situation): boolean {
  const present = new Set(situation.problem.nodes.map((node) => node.name));
  return plan.partitions.every((partition) => present.has(partition.node));
}

/** Plans, compares in the new context, and publishes or declines; leaves a decision record. */
async function settle(now: Case, track: Track, deps: JudgeDeps): Promise<void> {
  const { pipeline, situation, triggers } = now;
  const nowMs = deps.clock.monotonicMs();
  const ruled = rule(now, track, deps);
  const { ruling, prospects } = ruled;
  const { best, infeasible } = prospects;
  track.policy = ruled.policy;
  track.problem =
    ruling.kind === "infeasible"
      ? `pipeline ${pipeline.name}: ${infeasible ?? "no plan"}`
      : undefined;

  const told = triggers.length > 0 ? triggers : changesOf(track.watch, now, nowMs);
  if (ruling.kind === "publish" && best !== null) {
    await publish({ ...now, triggers: told }, { track, ruled, deps });
  } else {
    if (!isNews(ruling, { triggers, track, nowMs })) return;
    track.declined = reasonOf(ruling);
    track.declinedAtMs = nowMs;
    await record(decisionOf({ ...now, triggers: told }, ruled, deps), deps);
    if (isPassing(ruling)) return;
  }
  if (isMeasured(now)) track.confirmedRevision = now.inForce?.revision;
  track.declined = undefined;
  track.bars = now.bars;
  track.barsSince = [];
  track.watch = startWatch(pipeline, situation, nowMs);
}
