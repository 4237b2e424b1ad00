import type { PlanDocument } from "../protocol/index.js";
import type { Snapshot } from "./contract.js";
import type { Content } from "./content.js";
import { type Packet, packetOf } from "./wire.js";

export interface Frame extends Packet {
  readonly nonce: string;
}

/** Distinct frames kept per snapshot. Beyond it, as with many different filters, frames are built anew. */
const FRAMES_MAX = 256;

/**
 * Serializes each frame once for all clients. A nonce therefore names a frame, not a client; it is
 * never reused, also not by a frame with the same content under a later snapshot.
 */
export class FrameCache {
  readonly #noncePrefix: string;
  readonly #planTexts = new WeakMap<PlanDocument, string>();
  #count = 0;
  #snapshot: Snapshot | undefined;
  readonly #frames = new Map<string, Frame>();

  constructor(noncePrefix: string) {
    this.#noncePrefix = noncePrefix;
  }

  /** The frame that carries `content` of `snapshot`. */
  frame(snapshot: Snapshot, content: Content): Frame {
    return this.#cached(snapshot, keyOf(content), (nonce) => {
      const { epoch } = snapshot;
      switch (content.kind) {
        case "snapshot": {
          const revisions = Object.fromEntries(content.revisions);
          const plans = content.plans.map((plan) => this.planText(plan)).join(",");
          return spliced({ type: "snapshot", epoch, nonce, revisions }, "plans", `[${plans}]`);
        }
        case "update":
          return spliced({ type: "update", epoch, nonce }, "plan", this.planText(content.plan));
        case "removed":
          return JSON.stringify({ type: "removed", epoch, nonce, pipeline: content.pipeline });
        case "prepare":
          return spliced({ type: "prepare", epoch, nonce }, "plan", this.planText(content.plan));
        case "activate": {
          const { pipeline, revision } = content.plan;
          return JSON.stringify({ type: "activate", epoch, nonce, pipeline, revision });
        }
        case "abort":
        case "retire": {
          const { kind: type, pipeline, revision } = content;
          return JSON.stringify({ type, epoch, nonce, pipeline, revision });
        }
      }
    });
  }

  heartbeat(snapshot: Snapshot, revisions: ReadonlyMap<string, number>): Packet {
    const key = `heartbeat ${[...revisions.keys()].join(" ")}`;
    return this.#cached(snapshot, key, () =>
      JSON.stringify({
        type: "heartbeat",
        epoch: snapshot.epoch,
        revisions: Object.fromEntries(revisions),
      }),
    );
  }

  /** The plan as JSON, the same text in every frame and HTTP answer. */
  planText(plan: PlanDocument): string {
    let text = this.#planTexts.get(plan);
    if (text === undefined) {
      text = JSON.stringify(plan);
      this.#planTexts.set(plan, text);
    }
    return text;
  }

  #cached(snapshot: Snapshot, key: string, build: (nonce: string) => string): Frame {
    if (snapshot !== this.#snapshot || this.#frames.size >= FRAMES_MAX) {
      this.#frames.clear();
      this.#snapshot = snapshot;
    }
    let frame = this.#frames.get(key);
    if (frame === undefined) {
      this.#count += 1;
      const nonce = `${this.#noncePrefix}-${this.#count}`;
      frame = { nonce, ...packetOf(build(nonce)) };
      this.#frames.set(key, frame);
    }
    return frame;
  }
}

/** Unique within one snapshot. Pipeline names hold no blanks. */
function keyOf(content: Content): string {
  switch (content.kind) {
    case "snapshot": {
      const lacking = content.plans.map((plan) => plan.pipeline);
      return `snapshot ${[...content.revisions.keys()].join(" ")} / ${lacking.join(" ")}`;
    }
    case "update":
    case "prepare":
    case "activate":
      return `${content.kind} ${content.plan.pipeline}`;
    case "removed":
      return `removed ${content.pipeline}`;
    case "abort":
    case "retire":
      return `${content.kind} ${content.pipeline} ${content.revision}`;
  }
}

/** `object` as JSON with one more member, whose JSON text exists already. */
function spliced(object: object, key: string, jsonText: string): string {
  return `${JSON.stringify(object).slice(0, -1)},${JSON.stringify(key)}:${jsonText}}`;
}
