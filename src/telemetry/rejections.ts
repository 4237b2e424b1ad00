import type { Logger } from "../core/index.js";

/** Why a message was dropped. A fixed set: it becomes a metric's label. */
export const REJECTION_CAUSES = [
  "topic",
  "retained",
  "too-large",
  "malformed",
  "mismatch",
  "unknown-node",
  "too-old",
  "future",
  "duplicate",
  "rate",
  "too-many",
  "old-will",
  "unawaited",
] as const;
export type RejectionCause = (typeof REJECTION_CAUSES)[number];

const TOPIC_LOGGED_MAX = 200;

/** Counts dropped messages by cause, and logs the first of each cause. */
export class Rejections {
  readonly #log: Logger;
  readonly #counts = new Map<RejectionCause, number>();

  constructor(log: Logger) {
    this.#log = log;
  }

  add(cause: RejectionCause, topic: string, detail: string): void {
    const count = this.#counts.get(cause) ?? 0;
    this.#counts.set(cause, count + 1);
    if (count > 0) return;
    this.#log.warn(
      { cause, topic: topic.slice(0, TOPIC_LOGGED_MAX), detail },
      "dropped a message; further ones of this cause are only counted",
    );
  }

  /** A copy; every cause is there. */
  counts(): Record<RejectionCause, number> {
    const entries = REJECTION_CAUSES.map((cause) => [cause, this.#counts.get(cause) ?? 0] as const);
    return Object.fromEntries(entries) as Record<RejectionCause, number>;
  }
}
