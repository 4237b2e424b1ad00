import { schedule } from "node-cron";
import type { ScheduleConfig } from "../config/index.js";
import type { Clock, Logger } from "../core/index.js";

export interface Schedule {
  /** Unix milliseconds of the next run; null when there is none. */
  nextRunAtMs(): number | null;
  stop(): Promise<void>;
}

export interface ScheduleDeps {
  due: () => void;
  /** When the next run was due, as it was remembered; null where nothing was. */
  expectedAtMs: number | null;
  /** Remembers that over a restart. */
  save: (nextRunAt: number | null) => void;
  clock: Clock;
  log: Logger;
}

const LOOK_MS = 30_000;
const MS_PER_SECOND = 1_000;

/**
 * Runs `due` by the cron expression. A run that was missed, since nothing ran at its time, the machine
 * slept, or a clock change swallowed it, is caught up with once.
 */
export function startSchedule(options: ScheduleConfig, deps: ScheduleDeps): Schedule {
  const { log, clock } = deps;
  const stop = new AbortController();
  let expectedAtMs = deps.expectedAtMs;
  const expectNext = (): void => {
    expectedAtMs = task.getNextRun()?.getTime() ?? null;
    deps.save(expectedAtMs);
  };
  const run = (): void => {
    expectNext();
    deps.due();
  };
  const task = schedule(options.benchmark, run, {
    timezone: options.timezone,
    noOverlap: true,
    missedExecutionTolerance: options.missedToleranceSeconds * MS_PER_SECOND,
    logger: {
      debug: (message) => log.debug({ cron: String(message) }, "schedule"),
      info: (message) => log.debug({ cron: message }, "schedule"),
      warn: (message) => log.warn({ cron: message }, "schedule"),
      error: (message) => log.error({ cron: String(message) }, "schedule"),
    },
  });
  const catchUp = (lateMs: number): void => {
    if (expectedAtMs === null || clock.nowMs() < expectedAtMs + lateMs) return;
    log.info({ missed: new Date(expectedAtMs).toISOString() }, "catching up with a missed run");
    run();
  };
  const watch = async (): Promise<void> => {
    catchUp(0);
    expectNext();
    for (;;) {
      await clock.sleep(LOOK_MS, stop.signal);
      if (stop.signal.aborted) return;
      // Cron itself still starts a run that is late by less.
      catchUp(options.missedToleranceSeconds * MS_PER_SECOND + LOOK_MS);
    }
  };
  const watching = watch();
  return {
    nextRunAtMs: () => task.getNextRun()?.getTime() ?? null,
    stop: async () => {
      stop.abort();
      await watching;
      await task.destroy();
    },
  };
}
