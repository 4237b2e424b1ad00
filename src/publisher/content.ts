import type { PlanDocument } from "../protocol/index.js";
import type { Snapshot } from "./contract.js";

/** A plan that is not in force yet, and the nodes whose runtimes shall load it. */
export interface Candidate {
  readonly plan: PlanDocument;
  readonly nodes: ReadonlySet<string>;
}

/** Everything that decides what a client is sent: the plans in force, and the rollouts under way. */
export interface View extends Snapshot {
  /** At most one of each pipeline. */
  readonly candidates?: readonly Candidate[];
  /** True while some runtime may begin requests on an older revision: nothing is retired then. */
  readonly isLagging?: (plan: PlanDocument) => boolean;
}

/** What one frame tells a client. */
export type Content =
  | {
      kind: "snapshot";
      /** Every plan the client may have, by pipeline. It drops all others. */
      revisions: ReadonlyMap<string, number>;
      /** Those of them that it lacks. */
      plans: readonly PlanDocument[];
    }
  | { kind: "update"; plan: PlanDocument }
  | { kind: "removed"; pipeline: string }
  | { kind: "prepare"; plan: PlanDocument }
  | { kind: "activate"; plan: PlanDocument }
  | { kind: "abort"; pipeline: string; revision: number }
  | { kind: "retire"; pipeline: string; revision: number };

export function plansOf(content: Content): readonly PlanDocument[] {
  switch (content.kind) {
    case "snapshot":
      return content.plans;
    case "update":
    case "prepare":
    case "activate":
      return [content.plan];
    case "removed":
    case "abort":
    case "retire":
      return [];
  }
}

/** How a runtime says yes to this frame before it gets the next one; undefined: it need not. */
export function positiveAnswer(content: Content): "ack" | "active" | undefined {
  switch (content.kind) {
    case "snapshot":
    case "update":
    case "removed":
      return "ack";
    case "activate":
      return "active";
    case "prepare":
    case "abort":
    case "retire":
      return undefined;
  }
}
