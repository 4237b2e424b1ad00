import { refuseBadCertificates } from "../https/index.js";
import { type SubscribeOptions, type Subscription, subscribe as anywhere } from "./subscribe.js";

/**
 * Follows the plans of the daemon at `url` (`http://host:port`, `ws://…`), for ever: it reconnects with
 * full jitter and takes up where it was. The first update is a snapshot; then come changes, the newest
 * of each pipeline. A runtime acknowledges an update by asking for the next one: by then the plan must
 * be in force, and no request that began here on an older one may be under way.
 * `break` or `signal` closes the connection. Throws USAGE at once for a wrong URL, wrong names, and
 * certificates or a key that cannot be read or do not belong together.
 */
export function subscribe(url: string, options: SubscribeOptions = {}): Subscription {
  if (options.tls !== undefined) refuseBadCertificates(options.tls, (of) => `tls.${of}`);
  return anywhere(url, options);
}
