import { median } from "simple-statistics";
import { openSession } from "./child-session.js";
import { convolutionModel } from "./child-tiny.js";
import { timed } from "./child-timed.js";
import type { ChildConfig } from "./messages.js";

/** An interrupt lengthens one of them, not the shortest. */
const READINGS = 2;
const WARMUPS = 1;
const FIRST_READINGS = 5;

/** A fixed piece of work, whose time tells how fast the processor is at this moment. */
export interface Yardstick {
  /** Milliseconds that the work takes now; it costs twice that. */
  read(): Promise<number>;
  /** What it took when the process began: the median of some readings. */
  readonly seenMs: number;
}

/**
 * A processor that shares its core with another machine's work computes up to twice as slowly for
 * milliseconds or minutes, and the system tells of it nowhere: not as steal, not as waiting. A convolution
 * of 42 million operations, as most models consist of, shows it at once; it takes about a millisecond on
 * one thread of a server, as a shorter one tells of too short a moment.
 * @throws AppError INFERENCE_FAILED
 */
export async function openYardstick(config: ChildConfig): Promise<Yardstick> {
  const { bytes, feeds, outputs } = convolutionModel();
  const own = { ...config, threads: 1, executionProviders: ["cpu"] };
  const session = await openSession(bytes, own, { optimisation: "all" });
  const read = async (): Promise<number> => {
    let shortestMs = Infinity;
    for (let reading = 0; reading < READINGS; reading++) {
      const { wallMs, cpuMs } = await timed(() => session.run(feeds, outputs));
      // Waiting for the processor is not slowness of it. Where its time is told coarsely, it may be 0.
      shortestMs = Math.min(shortestMs, wallMs, cpuMs > 0 ? cpuMs : wallMs);
    }
    return shortestMs;
  };
  for (let warmup = 0; warmup < WARMUPS; warmup++) await read();
  const seen: number[] = [];
  while (seen.length < FIRST_READINGS) seen.push(await read());
  return { read, seenMs: median(seen) };
}
