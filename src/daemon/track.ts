import type { PolicyState } from "../drift/index.js";
import type { Bar } from "./bars.js";
import type { Episode } from "./episode.js";
import type { Watch } from "./watch.js";

/** What is remembered of one pipeline between two looks. */
export interface Track {
  watch: Watch | undefined;
  problem: string | undefined;
  policy: PolicyState | undefined;
  retryAtMs: number;
  /** Why the plan in force stayed, as it was recorded last; undefined since there was no doubt. */
  declined: string | undefined;
  declinedAtMs: number;
  /** In force at the last judgement. */
  bars: readonly Bar[];
  /** Seen since, while nothing was decided. */
  barsSince: readonly Bar[];
  /** Rollouts in a row that came to nothing and taught nothing; each makes the next pause longer. */
  abortedCount: number;
  /** The last rollout came to nothing and has not been judged yet. */
  isAborted: boolean;
  /** How far the confirming of a better plan is. */
  episode: Episode | undefined;
  /** The revision that was last judged with its partitions measured. */
  confirmedRevision: number | undefined;
}

export function newTrack(): Track {
  return {
    watch: undefined,
    problem: undefined,
    policy: undefined,
    retryAtMs: Number.NEGATIVE_INFINITY,
    declined: undefined,
    declinedAtMs: Number.NEGATIVE_INFINITY,
    bars: [],
    barsSince: [],
    abortedCount: 0,
    isAborted: false,
    episode: undefined,
    confirmedRevision: undefined,
  };
}
