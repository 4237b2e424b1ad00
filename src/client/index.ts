export {
  type Change,
  type ConnectionOptions,
  type ConnectionState,
  connectionOptionsSchema,
  type PlanCache,
  type Report,
  type RuntimeHooks,
  type SocketFactory,
  type SocketLike,
  type StorageLike,
  type SubscribeOptions,
  type Subscription,
  storagePlanCache,
  subscribe,
  type Update,
} from "./browser.js";
export { filePlanCache } from "./file-cache.js";
