import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import type { FrameSocket, SocketEvents } from "./connection.js";
import type { Packet } from "./wire.js";

/** With what codes `ws` itself closes (RFC 6455, 7.4.1), and why. */
const REASONS: ReadonlyMap<number, string> = new Map([
  [1002, "a frame broke the rules of WebSocket (RFC 6455)"],
  [1007, "text that is no UTF-8"],
  [1008, "a message in too many fragments"],
  [1009, "a message larger than listen.stream.messageBytesMax"],
]);

/** Gives a reason also where `ws` has none. */
export class ReasonedWebSocket extends WebSocket {
  override close(code?: number, reason?: string | Buffer): void {
    super.close(code, reason ?? (code === undefined ? undefined : REASONS.get(code)));
  }
}

/**
 * A WebSocket whose frames are ready-made. Each goes to the TCP socket in one write, as the frames that
 * `ws` makes itself (pongs, pings, close) do without compression, so that they never mix.
 */
export class ReadyFrameSocket implements FrameSocket {
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;

  constructor(webSocket: WebSocket, socket: Duplex) {
    this.#webSocket = webSocket;
    this.#socket = socket;
  }

  on<K extends keyof SocketEvents>(event: K, listener: SocketEvents[K]): void {
    this.#webSocket.on(event, listener);
  }

  send({ wire }: Packet, onTaken: (error?: Error | null) => void): void {
    // Nothing may follow a close frame.
    if (this.#webSocket.readyState !== WebSocket.OPEN) onTaken(new Error("the socket is closing"));
    else this.#socket.write(wire, onTaken);
  }

  close(code: number, reason: string): void {
    this.#webSocket.close(code, reason);
  }

  terminate(): void {
    this.#webSocket.terminate();
  }

  ping(): void {
    this.#webSocket.ping();
  }
}
