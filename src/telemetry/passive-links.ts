import type { Clock } from "../core/index.js";
import { PASSIVE_SOURCE } from "../drift/index.js";
import type { LinkReport } from "../protocol/index.js";

/** Estimates from real transfers, also of runtimes that tell themselves apart by a suffix. */
const PASSIVE = new RegExp(`^${PASSIVE_SOURCE}\\b`);
const LINKS_MAX = 1_000;

/** Knows which links' rates have been told by real transfers lately: those need no bursts. */
export class PassiveLinks {
  readonly #clock: Clock;
  readonly #heardMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  hear({ from, to, report }: { from: string; to: string; report: LinkReport }): void {
    if (report.bandwidthMbps === undefined || !PASSIVE.test(report.source ?? "")) return;
    const key = `${from}/${to}`;
    this.#heardMs.delete(key);
    if (this.#heardMs.size < LINKS_MAX) this.#heardMs.set(key, this.#clock.monotonicMs());
  }

  isFresh(from: string, to: string, withinMs: number): boolean {
    const heardMs = this.#heardMs.get(`${from}/${to}`) ?? Number.NEGATIVE_INFINITY;
    return this.#clock.monotonicMs() - heardMs <= withinMs;
  }
}
