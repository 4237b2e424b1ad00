/**
 * How the time of a run follows the yardstick, as an exponent: parts of SqueezeNet, Inception v1 and
 * ResNet-50 follow with 0.8 to 1; what waits for memory, such as the end of AlexNet, hardly.
 */
const EXPONENT = 0.9;
/** What differs more is another machine, or a reading that went wrong. */
const SLOWDOWN_MAX = 4;
/** Nothing slows a processor down by so much: it is another one, or another yardstick. */
const COMPARABLE_MAX = 6;

/**
 * By what a run takes longer now than at the processor's usual speed; below 1 where it is faster.
 * @param yardstickMs what the yardstick takes now, and what it usually takes
 */
export function slowdownOf(yardstickMs: number, usualMs: number): number {
  const slowdown = (yardstickMs / usualMs) ** EXPONENT;
  return Math.min(SLOWDOWN_MAX, Math.max(1 / SLOWDOWN_MAX, slowdown));
}

/** Whether both may be what one yardstick takes on one processor. */
export function isComparable(oneMs: number, otherMs: number): boolean {
  return Math.max(oneMs, otherMs) <= COMPARABLE_MAX * Math.min(oneMs, otherMs);
}
