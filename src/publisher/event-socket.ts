import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import type { FrameSocket } from "./connection.js";

const HEADERS = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-store",
  // A proxy that collects the answer would hold updates back.
  "X-Accel-Buffering": "no",
  "X-Content-Type-Options": "nosniff",
};

/**
 * Server-sent events in the place of a WebSocket: every frame is an event whose `data` is the frame and
 * whose name is its type. The reader only listens, so it is an observer.
 */
export function openEventSocket(response: ServerResponse): FrameSocket {
  const events = new EventEmitter();
  response.writeHead(200, HEADERS);
  response.flushHeaders();
  response.on("error", (error) => events.emit("error", error));
  response.on("close", () => events.emit("close"));
  const write = (text: string, onTaken: (error?: Error | null) => void): void => {
    response.write(text, onTaken);
  };
  return {
    on: (event, listener) => {
      events.on(event, listener);
    },
    send({ bytes }, onTaken) {
      // Frames are JSON on one line, so they need no further framing.
      write(`event: ${typeOf(bytes)}\ndata: ${bytes.toString("utf8")}\n\n`, onTaken);
    },
    close(code, reason) {
      response.end(`event: close\ndata: ${JSON.stringify({ code, reason })}\n\n`);
    },
    terminate: () => response.destroy(),
    ping() {
      // There is no answer to wait for; a dead reader is found when its buffer no longer empties.
      write(": ping\n\n", (error) => {
        if (error === undefined || error === null) events.emit("pong");
      });
    },
  };
}

/** Every frame begins with its type. */
function typeOf(bytes: Buffer): string {
  return /^\{"type":"([a-z]+)"/.exec(bytes.toString("utf8", 0, 32))?.[1] ?? "message";
}
