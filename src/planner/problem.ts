import type { Tier } from "../protocol/index.js";
import type { Constraints, CostModel, Objective } from "./options.js";

/** Layers that were measured as one partition. */
export interface MeasuredRange {
  firstLayer: number;
  /** Inclusive. */
  lastLayer: number;
  ms: number;
}

export interface PlanningNode {
  name: string;
  tier: Tier;
  /** Milliseconds of each block on this node. */
  blockMs: readonly number[];
  /** What these ranges take as partitions, in place of the sum of their blocks; at most one of each. */
  measured?: readonly MeasuredRange[];
  /** How many times as long as its blocks a partition takes that was not measured; 1 by default. */
  estimateFactor?: number;
  /** Power while it computes; needed where energy counts. */
  activeWatts?: number;
  /** What it costs while it computes, in any currency; needed where the price counts. */
  pricePerHour?: number;
  /** No plan may need more here than this. */
  memoryBytes?: number;
}

export interface PlanningLink {
  from: string;
  to: string;
  rttMs: number;
  bandwidthMbps: number;
  /** Energy of moving 10^6 bytes, at both ends; needed where energy counts. */
  joulesPerMegabyte?: number;
  /** Price of moving 10^9 bytes; needed where the price counts. */
  pricePerGigabyte?: number;
}

export interface PlanningBlock {
  firstLayer: number;
  /** Inclusive. */
  lastLayer: number;
  /** Bytes that cross the cut behind this block; behind the last one, the result. */
  outputBytes: number;
  /** Bytes of the constants that the block needs in memory; unknown counts as 0. */
  weightBytes?: number;
  /** Whether an input of the model is among what crosses the cut behind the block. */
  carriesInput?: boolean;
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
  /** What plans are ranked by; absent: latency. */
  objective?: Objective;
  /** Whether only plans are wanted all of whose partitions were measured. */
  onlyMeasured?: boolean;
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
  /** What the blocks sum to, where `computeMs` was measured; absent where it is that sum. */
  estimateMs?: number;
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
  /** The longest stage: a partition's computing or a hop. Its inverse is the throughput of a pipeline. */
  bottleneckMs: number;
  /** Null where a node or link of the plan has no data on it. */
  energyJoules: number | null;
  /** In the currency of the nodes' and links' prices; null where one of the plan has none. */
  price: number | null;
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
