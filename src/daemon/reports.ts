import { PASSIVE_SOURCE, passiveMbps } from "../drift/index.js";
import type { ReportMessage } from "../protocol/index.js";
import { confirmingOf } from "./confirm-work.js";
import { confirmedSituation } from "./confirmed-situation.js";
import { idleMsOf, type MeasuredStage } from "./loads.js";
import { situationOf } from "./problem.js";
import { takeLink } from "./take-link.js";
import { pipelinesOf, planOf, type Running, wake } from "./running.js";
import { takeBusy } from "./take-busy.js";

/**
 * Takes what the runtime of `node` measured into the context: the load of its node, and its links. Any
 * subscriber names its own node, so only one that was heard of counts: made-up names fill no memory.
 */
export function takeReport(running: Running, node: string, report: ReportMessage): void {
  if (running.context.node(node) === undefined) return;
  const nowMs = running.clock.monotonicMs();
  const stages = measuredStages(running, node, report);
  running.loads.report(stages, { node, isBusy: report.busy, nowMs });
  const isServing = report.stages.some((stage) => stage.node === node);
  if (report.busy || isServing) takeBusy(running, node, report.busy ? "overload" : "some");
  takeTransfers(running, report, nowMs);
  wake(running);
}

/** Only of the plan in force: what older ones predicted is not known any more. */
function measuredStages(running: Running, node: string, report: ReportMessage): MeasuredStage[] {
  const plan = planOf(running, report.pipeline);
  const pipeline = pipelinesOf(running).find(({ name }) => name === report.pipeline);
  if (plan?.revision !== report.revision || pipeline === undefined) return [];
  if (plan.model.sha256 !== pipeline.model.sha256) return [];
  const situation = situationOf(pipeline, running.context);
  if ("missing" in situation) return [];
  // As the plan was priced: what partitions are known to take beyond their blocks is no load.
  const terms = { confirm: confirmingOf(running), clock: running.clock };
  const { idle } = confirmedSituation(situation, pipeline, terms);
  return report.stages.flatMap((stage) => {
    const partition = plan.partitions.find((each) => each.node === stage.node);
    if (partition === undefined || stage.node !== node) return [];
    const predictedMs = idleMsOf(idle, partition);
    return [{ pipeline: pipeline.name, node, computeMs: stage.computeMs, predictedMs }];
  });
}

/** Real tensors tell a link's rate where they are large enough; its round trip must be known. */
function takeTransfers(running: Running, report: ReportMessage, nowMs: number): void {
  const { context, parts } = running;
  for (const { from, to, bytes, transferMs } of report.transfers) {
    const link = context.links().find((known) => known.from === from && known.to === to);
    if (link === undefined || link.rttMs === null) continue;
    const bandwidthMbps = passiveMbps({ bytes, transferMs }, link.rttMs);
    if (bandwidthMbps === undefined) continue;
    const measured = { bandwidthMbps, source: PASSIVE_SOURCE };
    // By way of the broker also the probers learn of it, and this daemon as of any other report.
    if (parts.telemetry?.publishLink(from, to, measured) === true) continue;
    takeLink(running, { from, to, report: measured, measuredMonotonicMs: nowMs });
  }
}
