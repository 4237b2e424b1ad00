import type { Clock } from "../core/index.js";
import { type BenchmarkProgress, parseJson, progressSchema } from "../protocol/index.js";
import { type Message, payloadText } from "./intake.js";
import { type Bucket, type Rate, takeTokens } from "./rate.js";
import type { Rejections } from "./rejections.js";
import type { Topic } from "./topics.js";

const PROGRESS_BYTES_MAX = 4_096;
const NODES_MAX = 10_000;
const RATE: Rate = { perSecond: 2, burst: 10 };

export type ProgressHandler = (node: string, progress: BenchmarkProgress) => void;

export interface ProgressHandlers {
  onProgress?: ProgressHandler;
  /** Where given, words about other nodes are dropped and counted. */
  hasHeardOf?(node: string): boolean;
}

/** Turns untrusted words about the progress of benchmarks into checked ones, at a bounded rate. */
export class ProgressIntake {
  readonly #clock: Clock;
  readonly #rejections: Rejections;
  readonly #handlers: ProgressHandlers;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock, rejections: Rejections, handlers: ProgressHandlers) {
    this.#clock = clock;
    this.#rejections = rejections;
    this.#handlers = handlers;
  }

  receive({ node }: Topic & { kind: "progress" }, message: Message): void {
    const { topic, payload } = message;
    if (payload.byteLength > PROGRESS_BYTES_MAX) {
      this.#rejections.add("too-large", topic, `${payload.byteLength} bytes`);
      return;
    }
    // Names that somebody made up must not use up the room for those that exist.
    if (this.#handlers.hasHeardOf?.(node) === false) {
      this.#rejections.add("unknown-node", topic, "no node of this name has said that it is there");
      return;
    }
    const known = this.#buckets.get(node);
    if (known === undefined && this.#buckets.size >= NODES_MAX) {
      this.#rejections.add("too-many", topic, `more than ${NODES_MAX} nodes`);
      return;
    }
    const nowMs = this.#clock.monotonicMs();
    const { bucket, taken } = takeTokens(known, RATE, { nowMs, count: 1 });
    this.#buckets.set(node, bucket);
    if (!taken) {
      this.#rejections.add("rate", topic, "progress is told too fast");
      return;
    }
    const parsed = parseJson(payloadText(payload), progressSchema);
    if (parsed.ok) this.#handlers.onProgress?.(node, parsed.value);
    else this.#rejections.add("malformed", topic, parsed.message);
  }
}
