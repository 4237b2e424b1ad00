import type { LiveWork } from "../benchmark/index.js";
import type { Clock } from "../core/index.js";

/** A report of live work counts this long for benchmarks: the last one ends by itself. */
export const LIVE_WORK_MS = 10_000;
/** A node is told the same at most this often. */
const TELL_PAUSE_MS = 2_000;
const NODES_MAX = 10_000;

interface Heard {
  liveUntilMs: number;
  overloadUntilMs: number;
  told: { work: LiveWork; atMs: number };
}

const NOT_TOLD: Heard["told"] = { work: "none", atMs: Number.NEGATIVE_INFINITY };

/** Which nodes serve requests, and which have more than they can serve, by their runtimes' reports. */
export class BusyNodes {
  readonly #heard = new Map<string, Heard>();
  readonly #clock: Pick<Clock, "monotonicMs">;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** An overload lasts until no pipeline of the node tells of it any more. */
  report(node: string, work: Exclude<LiveWork, "none">): void {
    const untilMs = this.#clock.monotonicMs() + LIVE_WORK_MS;
    const known = this.#heard.get(node);
    if (known === undefined) this.#makeRoom();
    this.#heard.set(node, {
      liveUntilMs: untilMs,
      overloadUntilMs:
        work === "overload" ? untilMs : (known?.overloadUntilMs ?? Number.NEGATIVE_INFINITY),
      told: known?.told ?? NOT_TOLD,
    });
  }

  liveWork(node: string): LiveWork {
    const heard = this.#heard.get(node);
    const nowMs = this.#clock.monotonicMs();
    if (heard === undefined || heard.liveUntilMs <= nowMs) return "none";
    return heard.overloadUntilMs > nowMs ? "overload" : "some";
  }

  /** What the node's agent is to be told now of its live work, if anything; the caller then tells it. */
  takeTelling(node: string): Exclude<LiveWork, "none"> | undefined {
    const nowMs = this.#clock.monotonicMs();
    const heard = this.#heard.get(node);
    const work = this.liveWork(node);
    if (heard === undefined || work === "none") return undefined;
    const isKnown = heard.told.work === work && nowMs - heard.told.atMs < TELL_PAUSE_MS;
    if (isKnown) return undefined;
    heard.told = { work, atMs: nowMs };
    return work;
  }

  /** The one known for longest gives way. */
  #makeRoom(): void {
    if (this.#heard.size < NODES_MAX) return;
    for (const node of this.#heard.keys()) {
      this.#heard.delete(node);
      return;
    }
  }
}
