/** One run of a model. */
export interface Sample {
  wallMs: number;
  /** Processor time of the whole process meanwhile. */
  cpuMs: number;
}

/** A run that was off the processor for longer than this share of its time was interrupted. */
const WAITED_SHARE_MAX = 0.03;
/** What the clocks and a timer tick are wrong by. */
const WAITED_MS_MIN = 0.1;
/** So many interrupted runs for each one wanted are thrown away; a machine that is busy all along is measured as it is. */
const DISCARDED_PER_REPEAT_MAX = 2;

/**
 * What the runs took. Those in which something else had the processor are left out as far as the others
 * suffice: they tell how busy the machine was, not how long the model takes. Where the process waits by nature (for a GPU) or the machine is busy all along, all
 * runs count: by their processor time where nothing but the processor computes, which leaves the waiting out.
 * @param wanted how many runs are wanted at least, and whether one thread of the processor does all the
 * computing
 * @returns `isSettled` false while more runs may still bring enough that were not interrupted
 */
export function undisturbed(
  samples: readonly Sample[],
  wanted: { repeats: number; isOneThread: boolean },
): { samplesMs: number[]; isSettled: boolean } {
  const { repeats, isOneThread } = wanted;
  const clean = samples.filter(
    ({ wallMs, cpuMs }) => wallMs - cpuMs <= Math.max(WAITED_MS_MIN, WAITED_SHARE_MAX * wallMs),
  );
  const isEnough = clean.length >= repeats;
  const isHopeless = samples.length - clean.length >= DISCARDED_PER_REPEAT_MAX * repeats;
  const ownMs = ({ wallMs, cpuMs }: Sample): number =>
    isOneThread && !isEnough ? Math.min(wallMs, cpuMs) : wallMs;
  return {
    samplesMs: (isEnough ? clean : samples).map(ownMs),
    isSettled: isEnough || isHopeless,
  };
}
