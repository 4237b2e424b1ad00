export type {
  ArtifactRequest,
  CloseCause,
  Publisher,
  PublisherApi,
  PublisherDeps,
  PublisherEvent,
  RefusalCause,
  Rejection,
  RolloutInfo,
  Snapshot,
  SubscriberInfo,
} from "./contract.js";
export {
  type PublisherOptions,
  publisherOptionsSchema,
} from "./options.js";
export { describeFailure, type RolloutFailure, type RolloutOutcome } from "./rollout.js";
export { startPublisher } from "./server.js";
