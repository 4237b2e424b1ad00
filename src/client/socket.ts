import type * as Ws from "ws";
import type { TlsOptions } from "../https/options.js";

interface SocketEvents {
  open: object;
  message: { data: unknown };
  close: { code: number; reason: string };
  error: { message?: string };
}

/** What this room needs of a WebSocket; a browser's and that of `ws` both have it. */
export interface SocketLike {
  send(text: string): void;
  close(code: number, reason: string): void;
  /** Only `ws` has it: ends a socket whose peer does not answer. */
  terminate?(): void;
  addEventListener<K extends keyof SocketEvents>(
    type: K,
    listener: (event: SocketEvents[K]) => void,
  ): void;
}

export interface SocketOptions {
  messageBytesMax: number;
  /** Bearer token. */
  token: string | undefined;
  /** In Node only. */
  tls: TlsOptions | undefined;
}

export type SocketFactory = (
  url: string,
  subprotocol: string,
  options: SocketOptions,
) => Promise<SocketLike>;

type BrowserWebSocket = new (url: string, protocols: string[]) => SocketLike;

/** `ws` where it can be loaded, which is in Node; else the browser's own WebSocket. */
export const openSocket: SocketFactory = async (url, subprotocol, options) => {
  const { messageBytesMax, token, tls } = options;
  // In a browser the import fails, or a bundler has put a module without this export in its place.
  const ws: Partial<typeof Ws> = await import("ws").catch(() => ({}));
  const { WebSocket: NodeWebSocket } = ws;
  if (NodeWebSocket !== undefined) {
    return new NodeWebSocket(url, [subprotocol], {
      maxPayload: messageBytesMax,
      perMessageDeflate: false,
      ...tls,
      ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
    });
  }
  if (tls !== undefined) throw new Error("certificates can be given in Node only");
  const { WebSocket } = globalThis as { WebSocket?: BrowserWebSocket };
  if (WebSocket === undefined) throw new Error("this platform has no WebSocket");
  return new WebSocket(url, [subprotocol, ...bearerSubprotocol(token)]);
};

/** A browser cannot set headers on a WebSocket, so the token travels as a subprotocol. */
function bearerSubprotocol(token: string | undefined): string[] {
  if (token === undefined) return [];
  const base64 = btoa(String.fromCharCode(...new TextEncoder().encode(token)));
  const base64url = base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return [`scission.bearer.${base64url}`];
}
