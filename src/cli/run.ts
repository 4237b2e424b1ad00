import { randomInt, randomUUID } from "node:crypto";
import { Command } from "commander";
import { type DaemonConfig, loadDaemonConfig } from "../config/index.js";
import { type Logger, seededRandom, systemClock } from "../core/index.js";
import { startDaemon } from "../daemon/index.js";
import { collectGarbageEarly } from "./quiet-garbage.js";
import { runService, type Service } from "./service.js";
import type { Terminal } from "./terminal.js";
import { onnxruntimeVersion, VERSION } from "./version.js";

/** Differs from start to start, so that nodes which start together do not retry together. */
const SEED_MAX = 2 ** 32;
const DEFAULT_CONFIG = "/etc/scissiond/scissiond.yaml";

export function runCommand(terminal: Terminal): Command {
  return new Command("run")
    .description("Run the daemon on the edge node.")
    .option("--config <file>", "the YAML file", DEFAULT_CONFIG)
    .addHelpText(
      "after",
      `
SIGHUP reloads the file; one with errors leaves the old configuration in force. SIGTERM stops.
The log goes to standard output, one JSON object per line. Exit code 78: the file has errors.

Examples:
  scissiond run --config scissiond.yaml
  systemctl reload scissiond`,
    )
    .action(({ config }: { config: string }) =>
      runService(terminal, {
        load: () => loadDaemonConfig(config, terminal.env),
        start,
      }),
    );
}

async function start(config: DaemonConfig, log: Logger): Promise<Service<DaemonConfig>> {
  const daemon = await startDaemon(config, {
    log,
    clock: systemClock,
    random: seededRandom(randomInt(SEED_MAX)),
    newId: randomUUID,
    versions: {
      scissiond: VERSION,
      node: process.versions.node,
      onnxruntime: onnxruntimeVersion(),
    },
  });
  const letGarbageBe = collectGarbageEarly();
  return {
    summary: `serving on port ${daemon.port}, broker ${daemon.broker}`,
    isProgressing: () => daemon.isProgressing(),
    reload: (next) => daemon.reload(next),
    refuse: () => daemon.refuse(),
    stop: () => {
      letGarbageBe();
      return daemon.stop();
    },
  };
}
