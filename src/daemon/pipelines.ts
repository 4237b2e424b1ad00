import { matchesDevice, type PipelineConfig, pipelineName } from "../config/index.js";
import type { NodeState, PlanDocument } from "../protocol/index.js";
import type { ModelFile } from "./models.js";
import type { Pipeline } from "./problem.js";

/** What is known of devices at this moment. */
export interface KnownDevices {
  nodes: readonly NodeState[];
  /** Plans in force: after a restart they vouch for devices that have not been heard of yet. */
  plans: readonly Pick<PlanDocument, "pipeline" | "source">[];
}

/**
 * The pipelines of the configuration, one for each device that it names or that its selector takes
 * at this moment. A device that is named needs not to have been heard of yet.
 */
export function matchPipelines(
  configured: readonly PipelineConfig[],
  models: readonly ModelFile[],
  devices: KnownDevices,
): Pipeline[] {
  return configured.flatMap((config) => {
    const model = models.find(({ name }) => name === config.model);
    if (model === undefined) return [];
    return sourcesOf(config, devices).map((source) => ({
      name: pipelineName(config.name, source),
      model: { name: model.name, sha256: model.sha256 },
      source,
      constraints: config.constraints,
      costModel: config.costModel,
      thresholds: config.thresholds,
      requestsPerSecond: config.requestsPerSecond,
    }));
  });
}

/** Names of pipelines that are configured but whose model cannot be read: their plans stay. */
export function waitingPipelines(
  configured: readonly PipelineConfig[],
  models: readonly ModelFile[],
  devices: KnownDevices,
): string[] {
  return configured
    .filter((config) => models.every(({ name }) => name !== config.model))
    .flatMap((config) =>
      sourcesOf(config, devices).map((source) => pipelineName(config.name, source)),
    );
}

function sourcesOf(config: PipelineConfig, { nodes, plans }: KnownDevices): string[] {
  if (Array.isArray(config.devices)) return [...new Set(config.devices)];
  const { devices } = config;
  const present = nodes
    .filter(({ tier }) => tier === "device")
    .filter(({ node, hardwareClass }) => matchesDevice(devices, { name: node, hardwareClass }))
    .map(({ node }) => node);
  const heardOf = new Set(nodes.map(({ node }) => node));
  const remembered = plans
    .filter(({ pipeline, source }) => pipeline === pipelineName(config.name, source))
    .map(({ source }) => source)
    .filter((source) => !heardOf.has(source));
  return [...present, ...remembered].sort();
}
