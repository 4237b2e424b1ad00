import { type InferenceOptions, isOneThread } from "./options.js";
import { createYardstick, type Yardstick } from "./yardstick.js";

/** What a model runs on. */
export interface Processor {
  /** Whether one thread of it does all the computing; the yardstick tells nothing of others. */
  readonly isOneThread: boolean;
  /** What the yardstick takes at the speed for which times are told. */
  readonly usualMs: number;
  /** What the yardstick takes at this moment. */
  read(): number;
  /** From now on times are told for the speed at which the yardstick takes `usualMs`. @returns what it took in the beginning */
  tellFor(usualMs: number | undefined): number;
}

/** The yardstick is made when it is first needed. */
export function createProcessor(
  options: Pick<InferenceOptions, "threads" | "executionProviders">,
): Processor {
  let yardstick: Yardstick | undefined;
  let toldMs: number | undefined;
  const own = (): Yardstick => (yardstick ??= createYardstick());
  return {
    isOneThread: isOneThread(options),
    get usualMs() {
      return toldMs ?? own().seenMs;
    },
    read: () => own().read(),
    tellFor(usualMs) {
      toldMs = usualMs;
      return own().seenMs;
    },
  };
}
