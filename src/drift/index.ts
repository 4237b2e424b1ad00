export { type Choice, type ChoiceVerdict, decide } from "./decision.js";
export {
  type Deviation,
  type DeviationLimits,
  type DriftVerdict,
  observe,
  startDeviation,
} from "./deviation.js";
export { addSample, type Estimate } from "./estimate.js";
export { type DriftOptions, driftOptionsSchema } from "./options.js";
