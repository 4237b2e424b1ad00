export { type StoreOptions, storeOptionsSchema } from "./options.js";
export {
  emptyState,
  type StoreState,
  storeStateSchema,
  withBenchmark,
  withDecision,
  withPipeline,
  withProfile,
} from "./state.js";
export { openStore, type Store, type StoreDeps } from "./store.js";
