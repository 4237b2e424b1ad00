export { type JsonFiles, openJsonFiles } from "./json-files.js";
export {
  type RecorderOptions,
  recorderOptionsSchema,
  type StoreOptions,
  storeOptionsSchema,
} from "./options.js";
export { type Recorder, startRecorder } from "./recorder.js";
export {
  emptyState,
  type StoreState,
  storeStateSchema,
  withConfirmedRanges,
  withControl,
  withDecision,
  withLinks,
  withPipeline,
  withProfile,
  withSchedule,
} from "./state.js";
export { openStore, type Store, type StoreDeps } from "./store.js";
