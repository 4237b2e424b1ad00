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
  type Subscription,
  storagePlanCache,
  type Update,
} from "./browser.js";
export type { TlsOptions } from "../https/options.js";
export { filePlanCache } from "./file-cache.js";
export type { SubscribeOptions } from "./subscribe.js";
export { subscribe } from "./subscribe-in-node.js";
