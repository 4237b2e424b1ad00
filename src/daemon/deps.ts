import type { Clock, Logger, Random } from "../core/index.js";

/** What the process gives the daemon. */
export interface DaemonDeps {
  log: Logger;
  clock: Clock;
  random: Random;
  /** Unique, of letters, digits and hyphens. */
  newId: () => string;
  versions: { scissiond: string; node: string; onnxruntime: string };
}
