import { performance } from "node:perf_hooks";
import { median } from "simple-statistics";

const ELEMENTS = 512;
const CHAINED_ROUNDS = 40;
const FREE_ROUNDS = 8_000;
/** An interrupt lengthens one of them, not the shortest. */
const READINGS = 2;
/** Until the compiler has made of it what it stays. */
const WARMUPS = 50;
const FIRST_READINGS = 25;

/** A fixed piece of work, whose time tells how fast the processor is at this moment. */
export interface Yardstick {
  /** Milliseconds that the work takes now; it costs twice that. */
  read(): number;
  /** What it took when the process began: the median of some readings. */
  readonly seenMs: number;
}

/**
 * A processor that shares its core with another machine's work computes up to twice as slowly for
 * milliseconds or minutes, and the system tells of it nowhere: not as steal, not as waiting. Additions
 * that each wait for the one before, and others that do not, show it at once.
 */
export function createYardstick(): Yardstick {
  const numbers = new Float64Array(ELEMENTS);
  const read = (): number => {
    let shortestMs = Infinity;
    for (let reading = 0; reading < READINGS; reading++) {
      const beforeMs = performance.now();
      work(numbers);
      shortestMs = Math.min(shortestMs, performance.now() - beforeMs);
    }
    return shortestMs;
  };
  for (let warmup = 0; warmup < WARMUPS; warmup++) read();
  const seenMs = median(Array.from({ length: FIRST_READINGS }, read));
  return { read, seenMs };
}

function work(numbers: Float64Array): void {
  let sum = 0;
  for (let round = 0; round < CHAINED_ROUNDS; round++) {
    for (let index = 0; index < ELEMENTS; index++) {
      sum += (numbers[index] ?? 0) * 1.0001;
      numbers[index] = sum * 1e-9;
    }
  }
  let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let round = 0; round < FREE_ROUNDS; round++) {
    a += 1.1 * round;
    b += 1.2 * round;
    c += 1.3 * round;
    d += 1.4 * round;
    e += 1.5 * round;
    f += 1.6 * round;
    g += 1.7 * round;
    h += 1.8 * round;
  }
  // What nobody reads is not computed.
  numbers[0] = (a + b + c + d + e + f + g + h) * 1e-30;
}
