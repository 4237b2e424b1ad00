import type { Tier } from "../protocol/index.js";
import type { Constraints, CostModel } from "./options.js";

export interface PlanningNode {
  name: string;
  tier: Tier;
  /** Milliseconds of each block on this node. */
  blockMs: readonly number[];
}

export interface PlanningLink {
  from: string;
  to: string;
  rttMs: number;
  bandwidthMbps: number;
}

export interface PlanningBlock {
  firstLayer: number;
  /** Inclusive. */
  lastLayer: number;
  /** Bytes that cross the cut behind this block; behind the last one, the result. */
  outputBytes: number;
}

/** Everything a plan depends on, at one moment. */
export interface PlanningProblem {
  blocks: readonly PlanningBlock[];
  inputBytes: number;
  /** Names are unique. */
  nodes: readonly PlanningNode[];
  /** Directed; at most one for each pair. */
  links: readonly PlanningLink[];
  /** Devices at which the input may arise. A device that runs layers is its own plan's source. */
  sources: readonly string[];
  /**
   * Orders that data may take, each a list of node names; a plan uses any part of one, in its order.
   * Absent: at most one node of each tier, device → edge → cloud.
   */
  paths?: readonly (readonly string[])[];
  costModel: CostModel;
  constraints: Constraints;
  /** How many plans are wanted. */
  topK: number;
}

export interface PlannedPartition {
  node: string;
  tier: Tier;
  firstBlock: number;
  /** Inclusive. */
  lastBlock: number;
  firstLayer: number;
  /** Inclusive. */
  lastLayer: number;
  computeMs: number;
}

export interface PlannedHop {
  from: string;
  to: string;
  bytes: number;
  transferMs: number;
}

export interface RankedPlan {
  source: string;
  latencyMs: number;
  /** Bytes of all hops. */
  transferBytes: number;
  partitions: PlannedPartition[];
  /** In order of flow; the last one is the way back of the result, where the cost model has one. */
  hops: PlannedHop[];
}

/** Who runs which layers: a plan without its price. */
export interface Assignment {
  source: string;
  partitions: readonly { node: string; firstLayer: number; lastLayer: number }[];
}
