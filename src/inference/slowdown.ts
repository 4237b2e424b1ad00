/**
 * How the time of a run follows the yardstick, as an exponent. With it, SqueezeNet and AlexNet measured
 * in two processes differ by 4.0 and 3.5 % at the median, without it by 10.8 and 11.6 %, on a machine
 * whose neighbours slow it down at will. It is below 1 as a reading tells of one moment and a run takes
 * many, and as what waits for memory waits less for a core.
 */
const EXPONENT = 0.55;
/** What differs more is another machine, or a reading that went wrong. */
const SLOWDOWN_MAX = 4;

/**
 * By what a run takes longer now than at the processor's usual speed; below 1 where it is faster.
 * @param yardstickMs what the yardstick takes now, and what it usually takes
 */
export function slowdownOf(yardstickMs: number, usualMs: number): number {
  const slowdown = (yardstickMs / usualMs) ** EXPONENT;
  return Math.min(SLOWDOWN_MAX, Math.max(1 / SLOWDOWN_MAX, slowdown));
}
