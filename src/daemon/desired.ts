import type { DaemonConfig } from "../config/index.js";
import type { Logger } from "../core/index.js";
import { hashModels, type ModelFile } from "./models.js";

/** What the user wants at this moment; replaced as a whole by a reload. */
export interface Desired {
  config: DaemonConfig;
  models: readonly ModelFile[];
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
  const models = await hashModels(next.models);
  const config = { ...next };
  const kept = FIXED.filter((key) => !isEqual(current.config[key], next[key]));
  for (const key of kept) Object.assign(config, { [key]: current.config[key] });
  if (kept.length > 0) log.warn({ settings: kept }, "these settings change only with a restart");
  return { config, models };
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
