import type { Clock, Logger } from "../core/index.js";
import { DataBudget } from "./data-budget.js";
import type { ProbeOptions } from "./options.js";

/** What the probes of one node may cost, by peer and in all. */
export class Spending {
  readonly #options: Pick<ProbeOptions, "dataBudget" | "burstBytesMin">;
  readonly #deps: { log: Logger; clock: Clock };
  readonly #all: DataBudget;
  readonly #peers = new Map<string, { budget: DataBudget; nextAtMs: number; isTold: boolean }>();

  constructor(
    options: Pick<ProbeOptions, "dataBudget" | "burstBytesMin">,
    deps: { log: Logger; clock: Clock },
  ) {
    this.#options = options;
    this.#deps = deps;
    const { allMegabytesPerHour } = options.dataBudget;
    const hour = { megabytesPerHour: allMegabytesPerHour, megabytesPerMonth: null };
    this.#all = new DataBudget(hour, deps.clock.monotonicMs());
  }

  /** What one probe of a peer may spend: nothing before its turn comes. */
  begin(peer: string): { spend: (bytes: number) => boolean; end: () => void } {
    const { clock, log } = this.#deps;
    const nowMs = clock.monotonicMs();
    const purse = this.#peers.get(peer) ?? {
      budget: new DataBudget(this.#options.dataBudget, nowMs),
      nextAtMs: Number.NEGATIVE_INFINITY,
      isTold: false,
    };
    this.#peers.set(peer, purse);
    let spentBytes = 0;
    const isDue = nowMs >= purse.nextAtMs;
    return {
      spend: (bytes) => {
        if (!isDue) return false;
        const now = clock.monotonicMs();
        if (this.#all.left(now) >= bytes && purse.budget.take(bytes, now)) {
          this.#all.take(bytes, now);
          spentBytes += bytes;
          return true;
        }
        // Fast links always want a larger burst than there is: they are measured by the smaller ones.
        if (bytes <= this.#options.burstBytesMin && !purse.isTold) {
          log.warn(
            { peer },
            "data budget used up (probe.dataBudget): until there is more, only round trips are measured",
          );
          purse.isTold = true;
        }
        return false;
      },
      end: () => {
        if (!isDue) return;
        const now = clock.monotonicMs();
        purse.nextAtMs = now + purse.budget.pauseMs(spentBytes, now);
      },
    };
  }
}
