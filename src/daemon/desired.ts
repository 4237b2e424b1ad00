import type { DaemonConfig } from "../config/index.js";
import type { Logger } from "../core/index.js";
import { hashModels, type ModelFile } from "./models.js";

/** What the user wants at this moment; replaced as a whole by a reload. */
export interface Desired {
  config: DaemonConfig;
  models: readonly ModelFile[];
  /** Models that are configured but cannot be read. */
  modelProblems: readonly string[];
}

/** What a configuration asks for. */
export async function desire(config: DaemonConfig): Promise<Desired> {
  const { files, problems } = await hashModels(
    config.models,
    config.benchmark.inference.modelBytesMax,
  );
  return { config, models: files, modelProblems: problems };
}

/** Settings that a running daemon cannot change: they hold ports, files and sessions. */
const FIXED = [
  "site",
  "node",
  "stateDirectory",
  "listen",
  "mqtt",
  "probeServer",
  "links",
  "probe",
  "store",
  "emulate",
] as const;

/**
 * The desired state after a reload. All that can fail happens here, before anything live is touched.
 * Settings that need a restart keep their old value, and the log says so.
 */
export async function reloaded(
  current: Desired,
  next: DaemonConfig,
  log: Logger,
): Promise<Desired> {
  const config = { ...next };
  const kept = FIXED.filter(
    (key) => !isEqual(fixedPart(current.config, key), fixedPart(next, key)),
  );
  for (const key of FIXED) Object.assign(config, { [key]: current.config[key] });
  config.listen = { ...current.config.listen, clients: next.listen.clients };
  if (kept.length > 0) log.warn({ settings: kept }, "these settings change only with a restart");
  return desire(config);
}

/** Who may connect is no matter of the port itself. */
function fixedPart(config: DaemonConfig, key: (typeof FIXED)[number]): unknown {
  return key === "listen" ? { ...config.listen, clients: [] } : config[key];
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
