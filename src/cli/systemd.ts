import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Clock, Logger } from "../core/index.js";

const execute = promisify(execFile);
const NOTIFY_TIMEOUT_MS = 5_000;
/** Pings per watchdog interval: one may be late without harm. */
const PINGS_PER_INTERVAL = 3;
const MICROSECONDS_PER_MILLISECOND = 1_000;

export interface ServiceManager {
  ready(status: string): Promise<void>;
  /** Tells systemd of a reload; follow it with `ready`. */
  reloading(): Promise<void>;
  stopping(): Promise<void>;
  /** The line that `systemctl status` shows. */
  status(text: string): Promise<void>;
  /** Pings the watchdog, where systemd asks for it, for as long as `healthy` says so. */
  keepAlive(healthy: () => boolean, signal: AbortSignal): Promise<void>;
}

export interface ServiceManagerDeps {
  log: Logger;
  clock: Clock;
  env: Readonly<Record<string, string | undefined>>;
  pid: number;
}

/**
 * sd_notify(3) by way of the systemd-notify program: Node has no Unix datagram sockets. It sends
 * under its own pid, so units need NotifyAccess=all. Without NOTIFY_SOCKET nothing happens; a
 * message that cannot be sent is logged and never fails the caller.
 */
export function serviceManager(deps: ServiceManagerDeps): ServiceManager {
  const { log, clock, env, pid } = deps;
  const notify = async (...assignments: string[]): Promise<void> => {
    if ((env["NOTIFY_SOCKET"] ?? "") === "") return;
    try {
      await execute("systemd-notify", assignments, {
        env,
        timeout: NOTIFY_TIMEOUT_MS,
        killSignal: "SIGKILL",
      });
    } catch (error) {
      log.warn({ err: error, assignments }, "systemd could not be notified");
    }
  };
  return {
    ready: (status) => notify("READY=1", `STATUS=${oneLine(status)}`),
    // systemd from 253 on matches the reload to this time; CLOCK_MONOTONIC is what hrtime reads.
    reloading: () => notify("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`),
    stopping: () => notify("STOPPING=1"),
    status: (text) => notify(`STATUS=${oneLine(text)}`),
    keepAlive: async (healthy, signal) => {
      const intervalMs = watchdogIntervalMs(env, pid);
      if (intervalMs === undefined) return;
      while (!signal.aborted) {
        if (healthy()) await notify("WATCHDOG=1");
        else log.error({}, "no progress: the watchdog is not pinged");
        await clock.sleep(intervalMs / PINGS_PER_INTERVAL, signal);
      }
    },
  };
}

/** The interval that systemd asks for; undefined where it asks another process, or none. */
function watchdogIntervalMs(env: ServiceManagerDeps["env"], pid: number): number | undefined {
  const microseconds = Number(env["WATCHDOG_USEC"] ?? "");
  const watched = env["WATCHDOG_PID"] ?? "";
  if (!Number.isFinite(microseconds) || microseconds <= 0) return undefined;
  return watched === "" || watched === String(pid)
    ? microseconds / MICROSECONDS_PER_MILLISECOND
    : undefined;
}

/** A line break would begin another assignment. */
function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, " ");
}
