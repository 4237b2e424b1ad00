export { type Scene, countVariedLinks, type TierPair } from "./scene.js";
export {
  type Course,
  type Look,
  type Replay,
  type ReplayOptions,
  replayTrace,
} from "./simulate.js";
export { parseTrace, type Trace } from "./trace.js";
export { decisionsOf, type ReplayDecision } from "./decisions.js";
