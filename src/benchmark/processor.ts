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
  if (offSince === undefined) return { yardstickMs, offSince: nowMs };
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
  const { earlier, nowMs } = context;
  const isSame =
    earlier !== undefined &&
    isSameEnvironment(earlier.environment, {
      ...opened.environment,
      emulatedSlowdown: earlier.environment.emulatedSlowdown,
    });
  const processor = usualSpeed(isSame ? earlier.processor : undefined, await worker.speed(), nowMs);
  await worker.speed(processor.yardstickMs);
  return processor;
}
