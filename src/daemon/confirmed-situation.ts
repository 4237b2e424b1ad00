import { withConfirmed } from "./confirmed.js";
import type { JudgeDeps } from "./judge-deps.js";
import type { Pipeline, Situation } from "./problem.js";

/** The situation with what is known of partitions at this moment, where confirming is turned on. */
export function confirmedSituation(
  situation: Situation,
  pipeline: Pipeline,
  { confirm, clock }: Pick<JudgeDeps, "confirm" | "clock">,
): Situation {
  const { enabled, maxAgeHours } = confirm.options();
  if (!enabled) return situation;
  const terms = { ranges: confirm.ranges(), maxAgeHours, nowMs: clock.nowMs() };
  return withConfirmed(situation, pipeline, terms);
}
