import type { Clock, Logger } from "../core/index.js";

/** One run of the schedule over all profiles, from its begin until all are renewed or its time is up. */
export interface RefreshRun {
  /** Begins a run; one that is under way begins anew. */
  open(): void;
  isOpen(): boolean;
  /** Wall time of the begin: profiles measured before it are to be renewed. 0: no run is under way. */
  beforeMs(): number;
  /** Ends what is under way when the time is up. */
  signal(): AbortSignal;
  timeLeftMs(): number;
  /** Tells what is left to do, and whether some of it is being done: ends the run when it is over. */
  look(waiting: readonly string[], isBusy: boolean): void;
  /** What the last run did not get to, in plain words; until the next run. */
  notices(): string[];
}

export interface RefreshRunDeps {
  /** The begin of the run that was under way when the daemon stopped; null for none. */
  resumed: number | null;
  /** Remembers over a restart that a run began. */
  began: (atMs: number) => void;
  /** Remembers that the run which began then has ended; another one may have begun since. */
  ended: (beganAtMs: number) => void;
  clock: Clock;
  log: Logger;
}

const NAMES_TOLD_MAX = 5;

export function startRefreshRun(wallTimeMs: () => number, deps: RefreshRunDeps): RefreshRun {
  const { clock, log } = deps;
  let beforeMs = deps.resumed ?? 0;
  let startedMs = clock.monotonicMs();
  let end = new AbortController();
  let leftOver: string | undefined;

  const close = (): void => {
    deps.ended(beforeMs);
    beforeMs = 0;
    end.abort();
  };
  return {
    open() {
      end.abort();
      end = new AbortController();
      beforeMs = clock.nowMs();
      startedMs = clock.monotonicMs();
      leftOver = undefined;
      deps.began(beforeMs);
    },
    isOpen: () => beforeMs > 0,
    beforeMs: () => beforeMs,
    signal: () => end.signal,
    timeLeftMs: () => wallTimeMs() - (clock.monotonicMs() - startedMs),
    look(waiting, isBusy) {
      if (beforeMs === 0) return;
      if (waiting.length === 0 && !isBusy) {
        close();
      } else if (clock.monotonicMs() - startedMs >= wallTimeMs()) {
        const names = waiting.slice(0, NAMES_TOLD_MAX);
        leftOver = `the benchmark schedule's time was up with ${waiting.length} profiles to go (${names.join(", ")}${waiting.length > names.length ? ", …" : ""}); they wait for its next run`;
        log.warn({ waiting: waiting.length, names }, "the schedule's time is up");
        close();
      }
    },
    notices: () => (leftOver === undefined ? [] : [leftOver]),
  };
}
