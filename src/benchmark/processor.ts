import type { ModelWorker, OpenedModel } from "../inference/index.js";
import type { ProcessorProfile, Profile } from "../protocol/index.js";
import { isSameEnvironment } from "./environment.js";

/** A speed further from the usual one is another one. */
const OFF_MIN = 1.15;
/** Neighbours come and go; a processor that was given another clock or another cooler stays. */
const ADOPTED_AFTER_MS = 30 * 60_000;

/** What an earlier profile tells of the processor. */
export type Earlier = Pick<Profile, "environment" | "processor">;

/**
 * The speed for which times are to be told: the usual one, until every look for half an hour found another.
 * @param seenMs what the yardstick takes at this moment
 */
export function usualSpeed(
  earlier: ProcessorProfile | undefined,
  seenMs: number,
  nowMs: number,
): ProcessorProfile {
  if (earlier === undefined) return { yardstickMs: seenMs };
  const { offSince, yardstickMs } = earlier;
  const ratio = seenMs / yardstickMs;
  const isOff = Math.max(ratio, 1 / ratio) > OFF_MIN;
  if (!isOff) return { yardstickMs };
  // A clock that was set back must not keep the old speed for ever.
  if (offSince === undefined || offSince > nowMs) return { yardstickMs, offSince: nowMs };
  return nowMs - offSince < ADOPTED_AFTER_MS ? earlier : { yardstickMs: seenMs };
}

/**
 * Has the worker tell times for the processor's usual speed, as far as an earlier profile of the same
 * environment knows it.
 */
export async function atUsualSpeed(
  worker: ModelWorker,
  opened: OpenedModel,
  context: { earlier: Earlier | undefined; nowMs: number },
): Promise<ProcessorProfile> {
  const known = processorOf(context.earlier, opened);
  const processor = usualSpeed(known, await worker.speed(), context.nowMs);
  await worker.speed(processor.yardstickMs);
  return processor;
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
