import { performance } from "node:perf_hooks";

const ELEMENTS = 512;
const ROUNDS = 60;
/** An interrupt lengthens one of them, not the shortest. */
const READINGS = 3;
/** Until the compiler has made of it what it stays. */
const WARMUPS = 300;

/** A fixed piece of work, whose time tells how fast the processor is at this moment. */
export interface Yardstick {
  /** Milliseconds that the work takes now; it costs three times that. */
  read(): number;
  /** The shortest reading so far. */
  readonly fastestMs: number;
}

/**
 * A processor that shares its core with another machine's work computes a third to a half slower for
 * seconds or minutes, and the system tells of it nowhere: not as steal, not as waiting. A short loop of
 * additions, each waiting for the one before, in the first level of cache, shows it at once: it takes
 * 1.6 times as long, while the clock's own changes stay within five per cent.
 */
export function createYardstick(): Yardstick {
  const numbers = new Float64Array(ELEMENTS);
  let fastestMs = Infinity;
  for (let warmup = 0; warmup < WARMUPS; warmup++) work(numbers);
  return {
    read() {
      let shortestMs = Infinity;
      for (let reading = 0; reading < READINGS; reading++) {
        const beforeMs = performance.now();
        work(numbers);
        shortestMs = Math.min(shortestMs, performance.now() - beforeMs);
      }
      fastestMs = Math.min(fastestMs, shortestMs);
      return shortestMs;
    },
    get fastestMs() {
      return fastestMs;
    },
  };
}

function work(numbers: Float64Array): void {
  let sum = 0;
  for (let round = 0; round < ROUNDS; round++) {
    for (let index = 0; index < ELEMENTS; index++) {
      sum += (numbers[index] ?? 0) * 1.0001;
      numbers[index] = sum * 1e-9;
    }
  }
}
