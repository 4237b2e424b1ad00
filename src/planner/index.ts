export {
  type Constraints,
  type CostModel,
  constraintsSchema,
  costModelSchema,
  type NodeConstraints,
  type Objective,
  objectiveSchema,
  SCISSION_COST_MODEL,
  type TierConstraints,
} from "./options.js";
export type {
  Assignment,
  MeasuredRange,
  PlannedHop,
  PlannedPartition,
  PlanningBlock,
  PlanningLink,
  PlanningNode,
  PlanningProblem,
  RankedPlan,
} from "./problem.js";
export { learnedFactor } from "./measured.js";
export { pricePlan } from "./price.js";
export { transferMs } from "./weights.js";
export { type OpenProblem, openProblem, paretoPlans, type Ranking, rankPlans } from "./rank.js";
export type { TextFile } from "./offline/measurements.js";
export { parseLinks } from "./offline/links-file.js";
export { type NodesFile, parseNodesFile } from "./offline/nodes-file.js";
export { parseObjective } from "./offline/objective-text.js";
export { loadProfiles, type ProfileSet } from "./offline/profiles.js";
export {
  buildQuery,
  type Query,
  type QueryOptions,
  SCISSION_INPUT_BYTES,
} from "./offline/query.js";
export {
  connectLayers,
  type LayerGraph,
  type LayerTensor,
  type NamedLayer,
} from "./dag/layer-graph.js";
export { graphOfProfile, type ModelWiring, type ProfiledBlocks } from "./dag/profile-graph.js";
export type { DagProblem } from "./dag/dag-problem.js";
export { type DagPartition, type DagPlan, partitionDag } from "./dag/partition.js";
export { planChart } from "./plot/plan-chart.js";
export {
  line as svgLine,
  niceTicks,
  rect as svgRect,
  text as svgText,
} from "./plot/svg.js";
