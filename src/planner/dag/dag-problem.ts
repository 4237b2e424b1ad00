import type { PlanningProblem } from "../problem.js";
import type { LayerGraph } from "./layer-graph.js";

/** A problem whose blocks are the vertices of `graph`. */
export type DagProblem = { graph: LayerGraph } & Pick<
  PlanningProblem,
  "nodes" | "links" | "sources" | "costModel" | "constraints" | "paths" | "objective"
>;
