import type { Clock } from "../core/index.js";

/** A report of too much work counts this long: one that is the last ends by itself. */
export const BUSY_MS = 10_000;
/** A node is told at most this often. */
const TELL_PAUSE_MS = 2_000;
const NODES_MAX = 10_000;

/** Which nodes have more requests than they can serve, by the reports of their runtimes. */
export class BusyNodes {
  readonly #untilMs = new Map<string, number>();
  readonly #toldAtMs = new Map<string, number>();
  readonly #clock: Pick<Clock, "monotonicMs">;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  report(node: string, isBusy: boolean): void {
    if (!isBusy) this.#untilMs.delete(node);
    else if (this.#untilMs.size < NODES_MAX || this.#untilMs.has(node)) {
      this.#untilMs.set(node, this.#clock.monotonicMs() + BUSY_MS);
    }
  }

  isBusy(node: string): boolean {
    return (this.#untilMs.get(node) ?? 0) > this.#clock.monotonicMs();
  }

  /** Whether the node's agent is to be told now that it is busy; the caller then tells it. */
  takeTelling(node: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (!this.isBusy(node)) return false;
    if (nowMs - (this.#toldAtMs.get(node) ?? Number.NEGATIVE_INFINITY) < TELL_PAUSE_MS)
      return false;
    // Only nodes that are busy are in it, so it is bounded as they are.
    for (const told of this.#toldAtMs.keys()) if (!this.isBusy(told)) this.#toldAtMs.delete(told);
    this.#toldAtMs.set(node, nowMs);
    return true;
  }
}
