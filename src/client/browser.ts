// The entry of `scissiond/client` for browsers: what index.ts exports, without files and certificates.
import { AppError } from "../core/index.js";
import {
  type SubscribeOptions as NodeSubscribeOptions,
  type Subscription,
  subscribe as subscribeAnywhere,
} from "./subscribe.js";

export { type PlanCache, type StorageLike, storagePlanCache } from "./cache.js";
export { type ConnectionOptions, connectionOptionsSchema } from "./options.js";
export type { RuntimeHooks } from "./preparations.js";
export type { Change } from "./replica.js";
export type { SocketFactory, SocketLike } from "./socket.js";
export type { ConnectionState, Report, Subscription, Update } from "./subscribe.js";

/** A browser trusts and shows the certificates that its user has installed: a page gives none. */
export type SubscribeOptions = Omit<NodeSubscribeOptions, "tls">;

/** `subscribe` as in Node, but that `tls` is refused with USAGE: no page chooses certificates. */
export function subscribe(url: string, options: SubscribeOptions = {}): Subscription {
  if ("tls" in options && options.tls !== undefined) {
    const text =
      "a browser takes certificates from its own store: install them there, not in `tls`";
    throw new AppError("USAGE", text);
  }
  return subscribeAnywhere(url, options);
}
