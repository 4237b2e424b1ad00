export type {
  ArtifactRequest,
  CloseCause,
  Publisher,
  PublisherApi,
  PublisherDeps,
  PublisherEvent,
  RefusalCause,
  Rejection,
  Snapshot,
  SubscriberInfo,
} from "./contract.js";
export {
  type PublisherOptions,
  publisherOptionsSchema,
} from "./options.js";
export { startPublisher } from "./server.js";
