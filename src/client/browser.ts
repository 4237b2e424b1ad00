// The entry of `scissiond/client` for browsers: what index.ts exports, without files.
export { type PlanCache, type StorageLike, storagePlanCache } from "./cache.js";
export { type ConnectionOptions, connectionOptionsSchema } from "./options.js";
export type { RuntimeHooks } from "./preparations.js";
export type { Change } from "./replica.js";
export type { SocketFactory, SocketLike } from "./socket.js";
export {
  type ConnectionState,
  type Report,
  type SubscribeOptions,
  type Subscription,
  subscribe,
  type Update,
} from "./subscribe.js";
