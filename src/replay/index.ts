export { decisionsOf, type ReplayDecision } from "./decisions.js";
export {
  momentsOfRecording,
  parseRecording,
  type Recording,
  replayRecording,
} from "./recording.js";
export { countVariedLinks, type Scene, type TierPair } from "./scene.js";
export {
  type Course,
  type Look,
  type Replay,
  type ReplayOptions,
  replayTrace,
} from "./simulate.js";
export { parseTrace, type Trace } from "./trace.js";
export { tune, type Tuning } from "./tune.js";
export { timelineChart } from "./timeline-chart.js";
