import { schedule } from "node-cron";
import type { ScheduleConfig } from "../config/index.js";
import type { Logger } from "../core/index.js";

export interface Schedule {
  /** Unix milliseconds of the next run; null when there is none. */
  nextRunAtMs(): number | null;
  stop(): Promise<void>;
}

/**
 * Runs `due` by the cron expression. Runs that a clock change swallows are caught by the maximum age of
 * profiles, which is checked without cron.
 */
export function startSchedule(
  options: ScheduleConfig,
  deps: { due: () => void; log: Logger },
): Schedule {
  const { log } = deps;
  const task = schedule(options.benchmark, deps.due, {
    timezone: options.timezone,
    noOverlap: true,
    missedExecutionTolerance: options.missedToleranceSeconds * 1_000,
    logger: {
      debug: (message) => log.debug({ cron: String(message) }, "schedule"),
      info: (message) => log.debug({ cron: message }, "schedule"),
      warn: (message) => log.warn({ cron: message }, "schedule"),
      error: (message) => log.error({ cron: String(message) }, "schedule"),
    },
  });
  return {
    nextRunAtMs: () => task.getNextRun()?.getTime() ?? null,
    stop: async () => {
      await task.destroy();
    },
  };
}
