import type { Clock, Logger } from "../core/index.js";
import type { Publications } from "../drift/index.js";
import type { PlannedPartition, RankedPlan } from "../planner/index.js";
import type { ConfirmedRange, Decision, PlanDocument, Trigger } from "../protocol/index.js";
import type { StoreState } from "../store/index.js";
import type { Bar, Bars } from "./bars.js";
import type { Standing } from "./confirmations.js";
import type { Context } from "./context.js";
import type { Loads } from "./loads.js";
import type { Pipeline, Situation } from "./problem.js";
import type { PlanRollouts } from "./rollout.js";

export interface JudgeDeps {
  context: Context;
  store: {
    readonly state: StoreState;
    update(change: (state: StoreState) => StoreState): Promise<void>;
  };
  /** Turns a ranked plan of a situation into the document that runtimes get; makes its sub-models. */
  draft: (
    pipeline: Pipeline,
    plan: RankedPlan,
    situation: Pick<Situation, "idle" | "externalSha256">,
  ) => Promise<PlanDraft>;
  rollouts: PlanRollouts;
  bars: Bars;
  /** How busy nodes are. */
  loads: Loads;
  confirm: Confirming;
  /** When plans of any pipeline came into force. */
  publications: { all: Publications };
  /** Called after the store holds the new state. */
  onPublished: (pipeline: string) => void;
  onDecision: (decision: Decision) => void;
  clock: Clock;
  log: Logger;
}

export type PlanDraft = Omit<PlanDocument, "epoch" | "revision" | "publishedAt" | "reason">;

/** What judging needs of the measuring of partitions. */
export interface Confirming {
  options: () => { enabled: boolean; roundsMax: number; timeoutMs: number; maxAgeHours: number };
  ranges: () => readonly ConfirmedRange[];
  /** From now on these are to be measured for the pipeline, in place of what was. */
  want: (pipeline: Pipeline, partitions: readonly PlannedPartition[]) => void;
  standing: (modelSha256: string, node: string) => Standing;
}

/** One pipeline at one moment. */
export interface Case {
  pipeline: Pipeline;
  situation: Situation;
  inForce: PlanDocument | null;
  bars: readonly Bar[];
  triggers: Trigger[];
}
