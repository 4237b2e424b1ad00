export { type StoreOptions, storeOptionsSchema } from "./options.js";
export {
  emptyState,
  type StoreState,
  storeStateSchema,
  withBenchmark,
  withDecision,
  withLinks,
  withPipeline,
  withProfile,
} from "./state.js";
export { openStore, type Store, type StoreDeps } from "./store.js";
