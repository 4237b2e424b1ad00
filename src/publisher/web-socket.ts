import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import type { FrameSocket, SocketEvents } from "./connection.js";
import type { Packet } from "./wire.js";

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
