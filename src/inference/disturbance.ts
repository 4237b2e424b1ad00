/** One run of a model. */
export interface Sample {
  wallMs: number;
  /** Processor time of the whole process meanwhile. */
  cpuMs: number;
  /** What the yardstick took before or after it, whichever is longer. */
  yardstickMs: number;
}

/** A run that was off the processor for longer than this share of its time was interrupted. */
const WAITED_SHARE_MAX = 0.03;
/** What the clocks and a timer tick are wrong by. */
const WAITED_MS_MIN = 0.1;
/** The yardstick takes so much longer on a processor that somebody else slows down. */
const SLOWED_FACTOR_MIN = 1.2;
/** So many disturbed runs for each one wanted are thrown away; a machine that is busy all along is measured as it is. */
const DISCARDED_PER_REPEAT_MAX = 2;

/** Whether something outside slows the processor down. */
export function isSlowed(yardstickMs: number, fastestMs: number): boolean {
  return yardstickMs > SLOWED_FACTOR_MIN * fastestMs;
}

/**
 * The runs in which nothing else took the processor or slowed it down, as far as they suffice: others
 * tell how busy the machine was, not how long the model takes. Where the process waits by nature (for
 * a GPU) or the machine is busy all along, all runs count: by their processor time where nothing but the
 * processor computes, which leaves the waiting out.
 * @param wanted how many runs are wanted at least, the shortest time of the yardstick so far, and
 * whether one thread of the processor does all the computing
 * @returns `isSettled` false while more runs may still bring enough that were not disturbed;
 * `isSlowed` when runs count in which the processor was slow
 */
export function undisturbed(
  samples: readonly Sample[],
  wanted: { repeats: number; fastestMs: number; isOneThread: boolean },
): { samplesMs: number[]; isSettled: boolean; isSlowed: boolean } {
  const { repeats, fastestMs, isOneThread } = wanted;
  const fast = samples.filter(({ yardstickMs }) => !isSlowed(yardstickMs, fastestMs));
  const clean = fast.filter(
    ({ wallMs, cpuMs }) => wallMs - cpuMs <= Math.max(WAITED_MS_MIN, WAITED_SHARE_MAX * wallMs),
  );
  const isEnough = clean.length >= repeats;
  const isHopeless = samples.length - clean.length >= DISCARDED_PER_REPEAT_MAX * repeats;
  // That others wait for the same processor is said by its load; a slow processor is worse hidden.
  const counted = isEnough ? clean : fast.length >= repeats ? fast : samples;
  return {
    samplesMs: counted.map(({ wallMs, cpuMs }) =>
      isOneThread && !isEnough ? Math.min(wallMs, cpuMs) : wallMs,
    ),
    isSettled: isEnough || isHopeless,
    isSlowed: counted.length > fast.length,
  };
}
