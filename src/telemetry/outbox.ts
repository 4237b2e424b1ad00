import type { Logger } from "../core/index.js";

/** Our own program names these topics; more of them than this is a fault. */
const TOPICS_MAX = 10_000;
/** Publications that await the broker's acknowledgement at a time. */
const IN_FLIGHT_MAX = 16;

/** Publishes a retained message; `done` tells whether the broker took it. */
export type PublishRetained = (
  topic: string,
  payload: string,
  done: (taken: boolean) => void,
) => void;

/**
 * The newest payload of every retained topic. All are published at every connect, because a broker may
 * have lost them; while one is in flight only its newest successor waits. An empty payload clears a topic.
 */
export class Outbox {
  readonly #log: Logger;
  readonly #latest = new Map<string, string>();
  readonly #waiting = new Set<string>();
  #inFlight = new Set<string>();
  #publish: PublishRetained | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  set(topic: string, payload: string): void {
    if (!this.#latest.has(topic) && this.#latest.size >= TOPICS_MAX) {
      this.#log.error({ topic, topicsMax: TOPICS_MAX }, "too many retained topics; not published");
      return;
    }
    this.#latest.set(topic, payload);
    this.#waiting.add(topic);
    this.#pump();
  }

  /** A connection is up. */
  attach(publish: PublishRetained): void {
    this.#publish = publish;
    this.#inFlight = new Set();
    for (const topic of this.#latest.keys()) this.#waiting.add(topic);
    this.#pump();
  }

  detach(): void {
    this.#publish = undefined;
  }

  #pump(): void {
    const publish = this.#publish;
    if (publish === undefined) return;
    const inFlight = this.#inFlight;
    for (const topic of this.#waiting) {
      if (inFlight.size >= IN_FLIGHT_MAX) return;
      const payload = this.#latest.get(topic);
      if (inFlight.has(topic) || payload === undefined) continue;
      this.#waiting.delete(topic);
      inFlight.add(topic);
      publish(topic, payload, (taken) => {
        // An answer of an earlier connection says nothing about this one.
        if (inFlight !== this.#inFlight) return;
        inFlight.delete(topic);
        if (taken && payload === "" && this.#latest.get(topic) === "") this.#latest.delete(topic);
        this.#pump();
      });
    }
  }
}
