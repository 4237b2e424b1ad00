import { access } from "node:fs/promises";
import { hostname } from "node:os";
import { resolve } from "node:path";
import type { AgentFile } from "./agent-schema.js";
import { resolveClientTls } from "./client-tls.js";
import type { DaemonFile } from "./daemon-schema.js";
import { exposureErrors, exposureWarnings } from "./exposure.js";
import { resolveListen } from "./listen.js";
import { resolveMqtt } from "./mqtt.js";
import type { Finding } from "./problem.js";
import type { AgentConfig, DaemonConfig } from "./resolved.js";
import { hasDaylightSaving } from "./schedule.js";
import { readNamedFile } from "./secrets.js";

const NAME_LENGTH_MAX = 63;

export interface Resolved<T> {
  config: T;
  errors: Finding[];
  warnings: Finding[];
}

/** Fills in what stands outside the file: paths from its directory, secrets, the host name. */
export async function resolveDaemon(
  file: DaemonFile,
  directory: string,
): Promise<Resolved<DaemonConfig>> {
  const { url, broker, ...section } = file.mqtt;
  const mqtt = await resolveMqtt(section, directory);
  const listen = await resolveListen(file.listen, directory);
  const { username, password } = mqtt.client;
  const models = file.models.map((model) => ({ ...model, path: resolve(directory, model.path) }));
  return {
    config: {
      ...file,
      node: named(file.node),
      stateDirectory: resolve(directory, file.stateDirectory),
      listen: listen.options,
      mqtt: {
        client: { ...mqtt.client, url: url ?? `mqtt://127.0.0.1:${broker.port}` },
        broker:
          url === undefined
            ? {
                ...broker,
                ...(username === undefined ? {} : { username }),
                ...(password === undefined ? {} : { password }),
              }
            : undefined,
      },
      models,
      pipelines: file.pipelines.map((pipeline) => ({
        ...pipeline,
        thresholds: { ...file.thresholds, ...pipeline.thresholds },
      })),
    },
    errors: [...mqtt.errors, ...listen.errors, ...exposureErrors(file)],
    warnings: [
      ...mqtt.warnings,
      ...listen.warnings,
      ...exposureWarnings(file),
      ...scheduleWarnings(file),
      ...(await missingModels(models.map(({ path }) => path))),
    ],
  };
}

export async function resolveAgent(
  file: AgentFile,
  directory: string,
): Promise<Resolved<AgentConfig>> {
  const { stateDirectory, daemonTokenFile, daemonTls, ...rest } = file;
  const { url, ...section } = file.mqtt;
  const mqtt = await resolveMqtt(section, directory);
  const token = await readNamedFile(directory, daemonTokenFile, {
    path: ["daemonTokenFile"],
    secret: true,
  });
  const certificates = await resolveClientTls(daemonTls, { directory, path: ["daemonTls"] });
  return {
    config: {
      ...rest,
      daemonTls: certificates.tls,
      ...(token.text === undefined ? {} : { daemonToken: token.text }),
      node: named(file.node),
      mqtt: { ...mqtt.client, url },
      stateDirectory: resolve(directory, stateDirectory),
    },
    errors: [...mqtt.errors, ...token.errors, ...certificates.errors],
    warnings: [...mqtt.warnings, ...token.warnings, ...certificates.warnings],
  };
}

/** With the host's name, and a hardware class of its own, where the file gives none. */
function named<Section extends { name?: string | undefined; hardwareClass?: string | undefined }>(
  section: Section,
): Section & { name: string; hardwareClass: string } {
  const name = section.name ?? hostNodeName(hostname());
  return { ...section, name, hardwareClass: section.hardwareClass ?? name };
}

/** A host name as a node name: its first label, with - for what names may not hold. */
export function hostNodeName(host: string): string {
  const label = host.toLowerCase().split(".")[0] ?? "";
  const name = label
    .replace(/[^a-z0-9-]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, NAME_LENGTH_MAX);
  return name === "" ? "node" : name;
}

function scheduleWarnings({ schedule }: DaemonFile): Finding[] {
  if (!hasDaylightSaving(schedule.timezone)) return [];
  const message = `clocks change in ${schedule.timezone}: runs around a change can be lost; UTC loses none`;
  return [{ path: ["schedule", "timezone"], at: "value", message }];
}

/** A model may be put there later, so a missing file does not stop the daemon. */
async function missingModels(paths: readonly string[]): Promise<Finding[]> {
  const found = await Promise.all(
    paths.map((path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  return paths.flatMap((path, index): Finding[] =>
    found[index] === true
      ? []
      : [{ path: ["models", index, "path"], at: "value", message: `cannot read ${path}` }],
  );
}
