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
 * The runs in which nothing else took the processor, as far as they suffice: a run that had to
 * wait tells how busy the machine was, not how long the model takes. Where the process waits by
 * nature (for a GPU) or the machine is busy all along, all runs count.
 * @param repeats how many are wanted at least
 * @returns `isSettled` false while more runs may still bring enough that were not interrupted
 */
export function undisturbed(
  samples: readonly Sample[],
  repeats: number,
): { samplesMs: number[]; isSettled: boolean } {
  const clean = samples.filter(
    ({ wallMs, cpuMs }) => wallMs - cpuMs <= Math.max(WAITED_MS_MIN, WAITED_SHARE_MAX * wallMs),
  );
  const isEnough = clean.length >= repeats;
  const isHopeless = samples.length - clean.length >= DISCARDED_PER_REPEAT_MAX * repeats;
  const counted = isEnough ? clean : samples;
  return { samplesMs: counted.map(({ wallMs }) => wallMs), isSettled: isEnough || isHopeless };
}
