import { sourceWeight } from "../drift/index.js";
import type { LinkEvent } from "../telemetry/index.js";
import type { Running } from "./running.js";

/**
 * Takes a link report that passed every check into the context and the recording, and wakes the loop
 * that plans. Sources that the configuration ignores leave no trace.
 */
export function takeLink(
  { context, clock, desired, parts }: Running,
  event: Pick<LinkEvent, "from" | "to" | "report" | "measuredMonotonicMs">,
): void {
  const { from, to, report, measuredMonotonicMs } = event;
  const { thresholds, telemetry } = desired.config;
  const weight = sourceWeight(telemetry.sources, report.source);
  if (weight === 0) return;
  const halfLifeMs = thresholds.smoothingHalfLifeSeconds * 1_000;
  const nowMs = measuredMonotonicMs;
  context.recordLink({ from, to }, report, { nowMs, halfLifeMs, sourceWeight: weight });
  const ageMs = clock.monotonicMs() - measuredMonotonicMs;
  const at = Math.max(0, Math.round(clock.nowMs() - ageMs));
  parts.recorder?.write({ kind: "link", from, to, ...report, at });
  parts.reconciler?.request();
}
