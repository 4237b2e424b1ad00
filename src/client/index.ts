export { type ConnectionOptions, connectionOptionsSchema } from "./options.js";
export type { Change } from "./replica.js";
export type { SocketFactory, SocketLike } from "./socket.js";
export {
  type ConnectionState,
  type SubscribeOptions,
  subscribe,
  type Update,
} from "./subscribe.js";
