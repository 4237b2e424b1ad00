import type { LiveWork } from "../benchmark/index.js";
import { AppError, type Clock } from "../core/index.js";
import { parseValue, yieldCommandSchema } from "../protocol/index.js";

/**
 * The command `yield`: there is live work on this node. It counts for the time it names, so that
 * no lost message can make a benchmark wait for ever.
 */
export function createYieldDuty(clock: Pick<Clock, "monotonicMs">): {
  obey(command: unknown): Promise<void>;
  liveWork(): LiveWork;
} {
  let untilMs = Number.NEGATIVE_INFINITY;
  let told: LiveWork = "none";
  return {
    // eslint-disable-next-line @typescript-eslint/require-await -- a command is answered later
    async obey(value) {
      const command = parseValue(value, yieldCommandSchema);
      if (!command.ok) throw new AppError("COMMAND_FAILED", `bad command: ${command.message}`);
      untilMs = clock.monotonicMs() + command.value.forMs;
      told = command.value.overload ? "overload" : "some";
    },
    liveWork: () => (clock.monotonicMs() < untilMs ? told : "none"),
  };
}
