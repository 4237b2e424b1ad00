import type { LiveWork } from "../benchmark/index.js";
import type { Clock } from "../core/index.js";

/** A report of live work counts this long for benchmarks: the last one ends by itself. */
export const LIVE_WORK_MS = 10_000;
/** A node is told the same at most this often. */
const TELL_PAUSE_MS = 2_000;
const HOSTS_MAX = 10_000;
const NODES_MAX = 10_000;

interface Heard {
  liveUntilMs: number;
  overloadUntilMs: number;
}

/** Which machines serve requests, and which have more than they can serve, by their runtimes' reports. */
export class BusyHosts {
  readonly #heard = new Map<string, Heard>();
  /** What nodes were told last. */
  readonly #told = new Map<string, { work: LiveWork; atMs: number }>();
  readonly #clock: Pick<Clock, "monotonicMs">;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** An overload lasts until no pipeline of the host tells of it any more. */
  report(host: string, work: Exclude<LiveWork, "none">): void {
    const untilMs = this.#clock.monotonicMs() + LIVE_WORK_MS;
    const known = this.#heard.get(host);
    if (known === undefined) dropOldest(this.#heard, HOSTS_MAX);
    const overloadedMs = known?.overloadUntilMs ?? Number.NEGATIVE_INFINITY;
    this.#heard.set(host, {
      liveUntilMs: untilMs,
      overloadUntilMs: work === "overload" ? untilMs : overloadedMs,
    });
  }

  liveWork(host: string): LiveWork {
    const heard = this.#heard.get(host);
    const nowMs = this.#clock.monotonicMs();
    if (heard === undefined || heard.liveUntilMs <= nowMs) return "none";
    return heard.overloadUntilMs > nowMs ? "overload" : "some";
  }

  /** What a node's agent is to be told now of its host's live work, if anything; the caller then tells it. */
  takeTelling(node: string, host: string): Exclude<LiveWork, "none"> | undefined {
    const nowMs = this.#clock.monotonicMs();
    const work = this.liveWork(host);
    if (work === "none") return undefined;
    const told = this.#told.get(node);
    if (told?.work === work && nowMs - told.atMs < TELL_PAUSE_MS) return undefined;
    this.#told.delete(node);
    dropOldest(this.#told, NODES_MAX);
    this.#told.set(node, { work, atMs: nowMs });
    return work;
  }
}

/** Where there is no room for one more, the one known for longest gives way. */
function dropOldest(map: Map<string, unknown>, sizeMax: number): void {
  if (map.size < sizeMax) return;
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
