export {
  type Deviation,
  type DeviationLimits,
  type DriftVerdict,
  observe,
  startDeviation,
} from "./deviation.js";
export { addSample, type Estimate } from "./estimate.js";
export {
  DEFAULT_SOURCE_RULES,
  type DriftOptions,
  driftOptionsSchema,
  type SourceRules,
  sourceRulesSchema,
} from "./options.js";
export {
  latencyAt,
  latencyOf,
  type LinkQuality,
  linkKey,
  type Moment,
  MOMENTS_MAX,
  type Outlook,
  outlookOf,
} from "./moments.js";
export { isQuiet, type QuietHours } from "./quiet-hours.js";
export { type Publications, withPublication } from "./rate-limit.js";
export {
  afterPublication,
  type Choice,
  decidePlan,
  type KeepReason,
  type PolicyOptions,
  type PolicyState,
  type Shortfall,
  startPolicy,
  switchCostMsOf,
  type Verdict,
} from "./policy.js";
export { type HeardLink, type Hearing, hearLink } from "./hear-link.js";
export {
  hearSource,
  PASSIVE_SOURCE,
  type SourceReading,
  sourceWeight,
  UNNAMED_SOURCE,
} from "./sources.js";
export { type Ruling, type Story, tell, tellTrigger } from "./words.js";
export { type LinkHistory, type LinkSample, momentsOf, withSample } from "./history.js";
export {
  LOAD_FACTOR_MAX,
  LOAD_HALF_LIFE_MS,
  loadAt,
  type NodeLoad,
  observeLoad,
  relieved,
  slowdownAt,
  type StageLoad,
  unexplainedBy,
} from "./load.js";
export { passiveMbps } from "./passive.js";
