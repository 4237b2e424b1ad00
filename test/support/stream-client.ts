import { WebSocket } from "ws";
import {
  type ServerMessage,
  serverMessageSchema,
  UPDATES_SUBPROTOCOL,
} from "../../src/protocol/index.js";
import { until } from "./poll.js";

/** A bare WebSocket client that records what it gets; every message must fit the schema. */
export class StreamClient {
  readonly messages: ServerMessage[] = [];
  closeCode: number | undefined;
  closeReason = "";
  readonly socket: WebSocket;

  constructor(url: string, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(url, [UPDATES_SUBPROTOCOL], { headers });
    this.socket.on("message", (data: Buffer) => {
      this.messages.push(serverMessageSchema.parse(JSON.parse(data.toString("utf8"))));
    });
    this.socket.on("close", (code, reason) => {
      this.closeCode = code;
      this.closeReason = reason.toString("utf8");
    });
    this.socket.on("error", () => undefined);
  }

  /** Connects and sends `subscribe` with these members. */
  static async subscribed(url: string, hello: object = {}): Promise<StreamClient> {
    const client = await StreamClient.open(url);
    client.send({ type: "subscribe", ...hello });
    return client;
  }

  static async open(url: string): Promise<StreamClient> {
    const client = new StreamClient(url);
    await until(() => client.socket.readyState === WebSocket.OPEN, { what: "an open socket" });
    return client;
  }

  send(message: object | string | Buffer): void {
    const raw = typeof message === "string" || Buffer.isBuffer(message);
    this.socket.send(raw ? message : JSON.stringify(message));
  }

  /** Frames but heartbeats. */
  get frames(): Exclude<ServerMessage, { type: "heartbeat" }>[] {
    return this.messages.flatMap((message) => (message.type === "heartbeat" ? [] : [message]));
  }

  async frame(index: number): Promise<Exclude<ServerMessage, { type: "heartbeat" }>> {
    return await until(() => this.frames[index], { what: `frame ${index}` });
  }

  async closed(): Promise<number> {
    await until(() => this.closeCode !== undefined, { what: "a close" });
    return this.closeCode!;
  }

  /** The plans a client that applied every frame holds: pipeline → revision. */
  applied(have: Record<string, number> = {}): Map<string, number> {
    const held = new Map(Object.entries(have));
    for (const frame of this.frames) {
      switch (frame.type) {
        case "snapshot":
          for (const name of held.keys()) if (!(name in frame.revisions)) held.delete(name);
          for (const plan of frame.plans) held.set(plan.pipeline, plan.revision);
          break;
        case "update":
          held.set(frame.plan.pipeline, frame.plan.revision);
          break;
        case "activate":
          held.set(frame.pipeline, frame.revision);
          break;
        case "removed":
          held.delete(frame.pipeline);
          break;
        case "prepare":
        case "abort":
        case "retire":
          break;
      }
    }
    return held;
  }
}
