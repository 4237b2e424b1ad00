import { cpus, totalmem } from "node:os";
import { describeEnvironment } from "../benchmark/index.js";
import type { DaemonConfig } from "../config/index.js";
import type { NodeState } from "../protocol/index.js";
import type { DaemonDeps } from "./deps.js";
import type { ModelFile } from "./models.js";

/** The state this edge node publishes of itself. */
export function describeSelf(
  config: DaemonConfig,
  models: readonly ModelFile[],
  boot: { id: string; versions: DaemonDeps["versions"]; hostId: string | undefined },
): NodeState {
  return {
    node: config.node.name,
    status: "online",
    bootId: boot.id,
    tier: "edge",
    hardwareClass: config.node.hardwareClass,
    version: boot.versions.scissiond,
    logicalCores: cpus().length,
    memoryBytes: totalmem(),
    emulatedSlowdown: config.emulate.slowdown,
    models: models.map(({ name, sha256 }) => ({ name, sha256 })),
    ...(boot.hostId === undefined ? {} : { hostId: boot.hostId }),
    environment: describeEnvironment(config.benchmark, boot.versions),
  };
}
