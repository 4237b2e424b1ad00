export { type BenchmarkRequest, benchmarkModel } from "./benchmark.js";
export { answerMeasure, type ConfirmRequest, measureRanges } from "./confirm.js";
export { isSameEnvironment } from "./environment.js";
export { type ExtractRequest, extractPartition } from "./extract.js";
export type { InputFile } from "../inference/index.js";
export { describeEnvironment, readHostId } from "./host.js";
export type { ListedSidecar } from "../inference/index.js";
export { listSidecars } from "./list-sidecars.js";
export { inspectModel } from "./inspect.js";
export { type BenchmarkOptions, benchmarkOptionsSchema } from "./options.js";
export { findMissingProviders } from "./missing-providers.js";
export { confirmingPaceOf, createPace, type LiveWork, paceOf, type PaceOptions } from "./pace.js";
export { tellProgress } from "./progress.js";
export { notEqual, type Renewed, renewProfile } from "./renew.js";
export {
  judgeSentinel,
  readSentinel,
  refreshProfile,
  type SentinelLimits,
  type SentinelReading,
  type SentinelVerdict,
} from "./sentinel.js";
export type { Checkpoint, Progress } from "./steps.js";
export { type BenchmarkDeps, KEPT_DIRECTORY, type ModelRequest } from "./with-model.js";
