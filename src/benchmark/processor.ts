import { isComparable, type ModelWorker, type OpenedModel } from "../inference/index.js";
import type { ProcessorProfile, Profile } from "../protocol/index.js";
import { isSameEnvironment } from "./environment.js";
import { areAlike } from "./statistics.js";

/** A speed further from another is not the same. */
const ALIKE_MAX = 1.15;
/** Neighbours come and go; a processor that was given another clock or another cooler stays. */
const ADOPTED_AFTER_MS = 30 * 60_000;
const ADOPTED_AFTER_LOOKS = 3;

/** What an earlier profile tells of the processor. */
export type Earlier = Pick<Profile, "environment" | "processor">;

/**
 * The speed for which times are to be told: the usual one, until looks in a row, over half an hour and
 * more, found another.
 * @param seenMs what the yardstick takes at this moment
 */
export function usualSpeed(
  earlier: ProcessorProfile | undefined,
  seenMs: number,
  nowMs: number,
): ProcessorProfile {
  if (earlier === undefined || !isComparable(seenMs, earlier.yardstickMs)) {
    return { yardstickMs: seenMs };
  }
  const { other, yardstickMs } = earlier;
  if (areAlike(seenMs, yardstickMs, ALIKE_MAX)) return { yardstickMs };
  // A clock that was set back must not keep the old speed for ever.
  const isSeenAgain =
    other !== undefined && other.since <= nowMs && areAlike(seenMs, other.yardstickMs, ALIKE_MAX);
  if (!isSeenAgain) {
    return { yardstickMs, other: { yardstickMs: seenMs, since: nowMs, looks: 1 } };
  }
  const looks = other.looks + 1;
  const isLasting = looks >= ADOPTED_AFTER_LOOKS && nowMs - other.since >= ADOPTED_AFTER_MS;
  return isLasting ? { yardstickMs: seenMs } : { yardstickMs, other: { ...other, looks } };
}

/** The speed for which times are to be told, from what an earlier profile of the same environment knows. */
export async function findUsualSpeed(
  worker: ModelWorker,
  opened: OpenedModel,
  context: { earlier: Earlier | undefined; nowMs: number },
): Promise<ProcessorProfile> {
  const known = processorOf(context.earlier, opened);
  return usualSpeed(known, await worker.speed(), context.nowMs);
}

/**
 * Has the worker tell times for the very speed of a profile of the same environment, so that they can be
 * compared with that; for the speed of this moment where there is none.
 */
export async function atSpeedOf(
  worker: ModelWorker,
  opened: OpenedModel,
  earlier: Earlier | undefined,
): Promise<void> {
  await worker.speed(processorOf(earlier, opened)?.yardstickMs);
}

function processorOf(
  earlier: Earlier | undefined,
  { environment }: OpenedModel,
): ProcessorProfile | undefined {
  if (earlier === undefined) return undefined;
  const { emulatedSlowdown } = earlier.environment;
  const isSame = isSameEnvironment(earlier.environment, { ...environment, emulatedSlowdown });
  return isSame ? earlier.processor : undefined;
}
