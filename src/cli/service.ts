import { type ConfigProblem, configInvalid, formatProblem, type Loaded } from "../config/index.js";
import { errorMessage, type Logger, systemClock } from "../core/index.js";
import { openLogger } from "./logging.js";
import { serviceManager } from "./systemd.js";
import { EXIT_CODES, type Terminal } from "./terminal.js";

/** A program that runs until it is told to stop. */
export interface Service<Config> {
  /** For `systemctl status`: "serving on port 8420". */
  readonly summary: string;
  /** False when work has stopped making progress: then the watchdog restarts the program. */
  isProgressing?(): boolean;
  /** Absent where the program takes a new configuration only by a restart. */
  reload?(config: Config): Promise<void>;
  /** The new configuration has errors and is not taken. */
  refuse?(): void;
  stop(): Promise<void>;
}

interface ServiceKind<Config> {
  load(): Promise<Loaded<Config>>;
  start(config: Config, log: Logger): Promise<Service<Config>>;
}

/**
 * Runs a service under systemd or in a terminal: SIGTERM and SIGINT stop it, a second one at once;
 * SIGHUP reloads, and a file with errors leaves the old configuration in force.
 * Throws CONFIG_INVALID for a bad file at the start, and whatever `start` throws.
 */
export async function runService<
  Config extends { log: { level: "debug" | "info" | "warn" | "error" } },
>(terminal: Terminal, kind: ServiceKind<Config>): Promise<void> {
  const nextHangUp = watchHangUps(terminal.signal);
  const loaded = await kind.load();
  if (!loaded.ok) throw configInvalid(loaded.errors);
  const log = openLogger(loaded.config.log.level);
  warn(log, loaded.warnings);
  const manager = serviceManager({ log, clock: systemClock, env: terminal.env, pid: process.pid });
  const service = await kind.start(loaded.config, log);
  const isProgressing = (): boolean => service.isProgressing?.() ?? true;
  const watchdog = manager.keepAlive(isProgressing, terminal.signal);
  try {
    await manager.ready(service.summary);
    while (await nextHangUp()) {
      await manager.reloading();
      await manager.ready(await reload(service, kind, log));
    }
  } finally {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, exitNow);
    await manager.stopping();
    await service.stop();
    await watchdog;
  }
}

/** Takes a new configuration live if it is valid; says in a line what came of it. */
async function reload<Config>(
  service: Service<Config>,
  kind: ServiceKind<Config>,
  log: Logger,
): Promise<string> {
  const loaded = await kind.load();
  warn(log, loaded.warnings);
  if (!loaded.ok) {
    service.refuse?.();
    const errors = loaded.errors.map(formatProblem);
    log.error({ errors }, "the new configuration has errors; the old one stays in force");
    return `${service.summary}; the new configuration has errors, the old one stays in force`;
  }
  if (service.reload === undefined) return `${service.summary}; restart for a new configuration`;
  try {
    await service.reload(loaded.config);
    log.info({}, "took the new configuration");
    return service.summary;
  } catch (error) {
    log.error({ err: error }, "the new configuration failed; the old one stays in force");
    return `${service.summary}; the new configuration failed: ${errorMessage(error)}`;
  }
}

function warn(log: Logger, warnings: readonly ConfigProblem[]): void {
  for (const warning of warnings) {
    log.warn({ problem: formatProblem(warning) }, "the configuration has a weak spot");
  }
}

/**
 * Listens to SIGHUP from now on. Each call waits for the next one: true; false when `signal` aborts.
 * Those that come while an earlier one is handled count as one.
 */
function watchHangUps(signal: AbortSignal): () => Promise<boolean> {
  let isPending = false;
  let wake = (): void => undefined;
  process.on("SIGHUP", () => {
    isPending = true;
    wake();
  });
  signal.addEventListener("abort", () => wake(), { once: true });
  return async () => {
    while (!signal.aborted && !isPending) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    isPending = false;
    return !signal.aborted;
  };
}

/** Somebody who asks twice does not want to wait. */
function exitNow(): void {
  process.exit(EXIT_CODES.failed);
}
