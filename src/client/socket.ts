import type * as Ws from "ws";

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

export type SocketFactory = (
  url: string,
  subprotocol: string,
  limits: { messageBytesMax: number },
) => Promise<SocketLike>;

type BrowserWebSocket = new (url: string, protocols: string[]) => SocketLike;

/** `ws` where it can be loaded, which is in Node; else the browser's own WebSocket. */
export const openSocket: SocketFactory = async (url, subprotocol, { messageBytesMax }) => {
  // In a browser the import fails, or a bundler has put a module without this export in its place.
  const ws: Partial<typeof Ws> = await import("ws").catch(() => ({}));
  const { WebSocket: NodeWebSocket } = ws;
  if (NodeWebSocket !== undefined) {
    return new NodeWebSocket(url, [subprotocol], {
      maxPayload: messageBytesMax,
      perMessageDeflate: false,
    });
  }
  const { WebSocket } = globalThis as { WebSocket?: BrowserWebSocket };
  if (WebSocket === undefined) throw new Error("this platform has no WebSocket");
  return new WebSocket(url, [subprotocol]);
};
