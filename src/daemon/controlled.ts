import type { Constraints } from "../planner/index.js";
import type { Pin } from "../protocol/index.js";
import type { StoreState } from "../store/index.js";
import type { Pipeline } from "./problem.js";

/** The pipeline as the operator wants it: a pinned configuration is a constraint like others. */
export function controlled(pipeline: Pipeline, state: StoreState): Pipeline {
  const wish = state.controls?.find((each) => each.pipeline === pipeline.name);
  if (wish === undefined) return pipeline;
  const { isPaused, pin } = wish;
  if (pin === null) return { ...pipeline, isPaused };
  return { ...pipeline, isPaused, constraints: pinned(pipeline.constraints, pin) };
}

/** A node runs consecutive layers, so that the first and the last of them hold the rest. */
function pinned(constraints: Constraints, pin: Pin): Constraints {
  const limits = pin.map(({ node, firstLayer, lastLayer }) => ({
    node,
    mustRunLayers: [firstLayer, lastLayer],
    mustNotRunLayers: [],
  }));
  return { ...constraints, limits: [...constraints.limits, ...limits] };
}
