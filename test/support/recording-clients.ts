import { WebSocket } from "ws";
import {
  type ClientMessage,
  parseJson,
  type ServerMessage,
  serverMessageSchema,
  UPDATES_SUBPROTOCOL,
} from "../../src/protocol/index.js";
import { heldAfter, type Step } from "./history.js";

const RETRY_MS = 20;

/** A client whose history is checked. */
export interface Recording {
  readonly history: readonly Step[];
  /** As a network does: without a farewell. */
  cut(): void;
  stop(): void;
}

/** What a runtime answers to a `prepare`, and what node it runs on. */
export interface Part {
  node: string;
  canLoad(revision: number): boolean;
}

/** An observer or runtime that records all it is told, and subscribes anew with what it has when cut off. */
export class RecordingClient implements Recording {
  readonly history: Step[] = [];
  readonly #url: string;
  readonly #part: Part | undefined;
  readonly #prepared = new Map<string, number>();
  #socket: WebSocket | undefined;
  #isStopped = false;

  /** With `part` a runtime. */
  constructor(url: string, part?: Part) {
    this.#url = url;
    this.#part = part;
    this.#connect();
  }

  #connect(): void {
    const socket = new WebSocket(this.#url, [UPDATES_SUBPROTOCOL]);
    this.#socket = socket;
    socket.on("open", () => {
      const { epoch, revisions } = heldAfter(this.history);
      const have =
        epoch === undefined ? undefined : { epoch, revisions: Object.fromEntries(revisions) };
      this.history.push({ type: "connect", have });
      socket.send(JSON.stringify(this.#hello(have)));
    });
    socket.on("message", (data: Buffer) => {
      if (this.#socket !== socket) return;
      const message = serverMessageSchema.parse(JSON.parse(data.toString("utf8")));
      this.history.push(message);
      const answer = this.#answerTo(message);
      if (answer !== undefined && socket.readyState === WebSocket.OPEN) {
        socket.send(JSON.stringify(answer));
      }
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      if (!this.#isStopped) setTimeout(() => this.#isStopped || this.#connect(), RETRY_MS);
    });
  }

  #hello(have: { epoch: string; revisions: Record<string, number> } | undefined): object {
    if (this.#part === undefined) return { type: "subscribe", ...(have && { have }) };
    const prepared = Object.fromEntries(this.#prepared);
    const { node } = this.#part;
    return {
      type: "subscribe",
      role: "runtime",
      node,
      ...(have && { have: { ...have, prepared } }),
    };
  }

  #answerTo(message: ServerMessage): ClientMessage | undefined {
    const part = this.#part;
    switch (message.type) {
      case "snapshot":
      case "update":
      case "removed":
        return part === undefined ? undefined : { type: "ack", nonce: message.nonce };
      case "prepare": {
        if (part === undefined) throw new Error("an observer got prepare");
        const { pipeline, revision } = message.plan;
        const { nonce } = message;
        if (!part.canLoad(revision)) return { type: "reject", nonce, reason: "no memory" };
        this.#prepared.set(pipeline, revision);
        return { type: "ready", nonce };
      }
      case "activate":
        if (part === undefined) throw new Error("an observer got activate");
        this.#prepared.delete(message.pipeline);
        return { type: "active", nonce: message.nonce };
      case "abort":
      case "retire":
        if (part === undefined) throw new Error(`an observer got ${message.type}`);
        if ((this.#prepared.get(message.pipeline) ?? Infinity) <= message.revision) {
          this.#prepared.delete(message.pipeline);
        }
        return undefined;
      case "heartbeat":
        return undefined;
    }
  }

  cut(): void {
    this.#socket?.terminate();
  }

  /** A slow reader takes nothing for a while. */
  pause(): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.pause();
  }

  resume(): void {
    if (this.#socket?.isPaused === true) this.#socket.resume();
  }

  stop(): void {
    this.#isStopped = true;
    this.#socket?.terminate();
  }
}

/** Reads server-sent events, and begins anew when cut off. */
export class RecordingReader implements Recording {
  readonly history: Step[] = [];
  readonly #url: string;
  #cut = new AbortController();
  #isStopped = false;

  /** `url`: of the daemon. */
  constructor(url: string) {
    this.#url = `${url}/api/v1/events`;
    void this.#read();
  }

  async #read(): Promise<void> {
    while (!this.#isStopped) {
      this.#cut = new AbortController();
      await this.#readOnce(this.#cut.signal).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  async #readOnce(signal: AbortSignal): Promise<void> {
    const response = await fetch(this.#url, { signal });
    this.history.push({ type: "connect" });
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      const events = text.split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        const data = /^data: ?(.*)$/m.exec(event)?.[1];
        const message = parseJson(data ?? "", serverMessageSchema);
        if (data !== undefined && !signal.aborted) {
          if (!message.ok) throw new Error(`no frame: ${message.message}`);
          this.history.push(message.value);
        }
      }
    }
  }

  cut(): void {
    this.#cut.abort();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cut.abort();
  }
}
