import type { ChildConfig } from "./messages.js";
import { isOneThread } from "./options.js";
import { isComparable } from "./slowdown.js";
import { openYardstick, type Yardstick } from "./yardstick.js";

/** What a model runs on. */
export interface Processor {
  /** Whether one thread of it does all the computing; the yardstick tells nothing of others. */
  readonly isOneThread: boolean;
  /** What the yardstick takes at the speed for which times are told. */
  usualMs(): Promise<number>;
  /** What the yardstick takes at this moment. */
  read(): Promise<number>;
  /** From now on times are told for the speed at which the yardstick takes `usualMs`. @returns what it took in the beginning */
  tellFor(usualMs: number | undefined): Promise<number>;
}

/** The yardstick is made when it is first needed. */
export function createProcessor(config: ChildConfig): Processor {
  let yardstick: Promise<Yardstick> | undefined;
  let toldMs: number | undefined;
  const own = (): Promise<Yardstick> => (yardstick ??= openYardstick(config));
  return {
    isOneThread: isOneThread(config),
    usualMs: async () => toldMs ?? (await own()).seenMs,
    read: async () => (await own()).read(),
    async tellFor(usualMs) {
      const { seenMs } = await own();
      toldMs = usualMs !== undefined && isComparable(seenMs, usualMs) ? usualMs : undefined;
      return seenMs;
    },
  };
}
