import type { Socket } from "node:net";
import { AppError } from "../core/index.js";

interface Demand {
  bytes: number;
  sink: (chunk: Buffer) => void;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** Reads exact numbers of bytes from a socket, and stops reading while nobody asks. */
export class ByteStream {
  readonly #socket: Socket;
  #left: Buffer = Buffer.alloc(0);
  #demand: Demand | undefined;
  #failure: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new AppError("ABORTED", "the connection was closed")));
    socket.on("end", () => this.#fail(new AppError("ABORTED", "the other side hung up")));
  }

  /** Resolves with exactly `bytes` bytes. Rejects when the connection ends before. */
  async read(bytes: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    await this.consume(bytes, (chunk) => chunks.push(chunk));
    return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
  }

  /** Gives the next `bytes` bytes to `sink` as they arrive; nothing is kept. */
  consume(bytes: number, sink: (chunk: Buffer) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const demand = { bytes, sink, resolve, reject };
      this.#demand = demand;
      const left = this.#left;
      this.#left = Buffer.alloc(0);
      if (left.length > 0) this.#take(left);
      if (demand.bytes === 0) return;
      if (this.#failure !== undefined) this.#fail(this.#failure);
      else this.#socket.resume();
    });
  }

  /** Writes and waits until the socket wants more: a slow reader costs no memory. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#socket.write(bytes)) return;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        this.#socket.off("drain", settle);
        this.#socket.off("close", settle);
        resolve();
      };
      this.#socket.on("drain", settle);
      this.#socket.on("close", settle);
    });
  }

  #take(chunk: Buffer): void {
    const demand = this.#demand;
    if (demand === undefined) {
      this.#left = this.#left.length === 0 ? chunk : Buffer.concat([this.#left, chunk]);
      this.#socket.pause();
      return;
    }
    const wanted = chunk.subarray(0, demand.bytes);
    const surplus = chunk.subarray(demand.bytes);
    demand.bytes -= wanted.length;
    demand.sink(wanted);
    if (demand.bytes > 0) return;
    this.#demand = undefined;
    if (surplus.length > 0) {
      this.#left = surplus;
      this.#socket.pause();
    }
    demand.resolve();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    const demand = this.#demand;
    this.#demand = undefined;
    demand?.reject(this.#failure);
  }
}

const CHUNK_BYTES = 65_536;

/** Writes a burst of `bytes` bytes, cut from `pattern` again and again. */
export async function writeBurst(
  stream: ByteStream,
  bytes: number,
  pattern: Uint8Array,
): Promise<void> {
  for (let left = bytes; left > 0; ) {
    const chunk = pattern.subarray(0, Math.min(left, CHUNK_BYTES));
    await stream.write(chunk);
    left -= chunk.length;
  }
}

/** Bytes that no modem or tunnel can compress. */
export function burstPattern(random: () => number): Uint8Array {
  return Uint8Array.from({ length: CHUNK_BYTES }, () => Math.floor(random() * 256));
}
