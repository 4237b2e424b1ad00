export type {
  Compared,
  Extracted,
  InputFile,
  KnownModel,
  LayerRange,
  ListedSidecar,
  Measured,
  MeasureTarget,
  OpenedModel,
  OpenRequest,
  Profiled,
  ProfileRequest,
  ProviderState,
  Repeat,
  Stability,
  Turn,
} from "./messages.js";
export { MADE_UP_DTYPES } from "./messages.js";
export { type InferenceOptions, inferenceOptionsSchema } from "./options.js";
export { probeProviders } from "./providers.js";
export { isStable } from "./stability.js";
export { type ModelWorker, startModelWorker } from "./worker.js";
export type { WorkerDeps } from "./worker-process.js";
