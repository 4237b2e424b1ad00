import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Slowdowns } from "./slowdowns.js";

/** Where everything of one demo listens, all on loopback. */
export interface DemoPorts {
  http: number;
  broker: number;
  edgeProbe: number;
  cloudProbe: number;
  deviceProbe: number;
  /** Emulated ways to the probe servers. */
  deviceToEdge: number;
  deviceToCloud: number;
  edgeToCloud: number;
}

const HOST = "127.0.0.1";
/** A demo is watched live, so everything is quicker here than the defaults. */
const PROBE = {
  intervalSeconds: 1,
  deadAfterFailures: 2,
  lossDatagrams: 10,
  dataBudget: { megabytesPerHour: null, megabytesPerMonth: null, allMegabytesPerHour: null },
};
const THRESHOLDS = { smoothingHalfLifeSeconds: 1, holdSeconds: 1, cooldownSeconds: 1 };
const BENCHMARK = { warmups: 1, repeats: 5, cpuSharePercent: 100, liveSharePercent: 100 };

export interface DemoFiles {
  daemon: string;
  device: string;
  cloud: string;
}

export interface DemoSettings {
  directory: string;
  model: string;
  ports: DemoPorts;
  slowdowns: Slowdowns;
}

/** Writes the three configuration files, as a user would write them. */
export async function writeSettings(settings: DemoSettings): Promise<DemoFiles> {
  const { directory, ports, slowdowns } = settings;
  const files = {
    daemon: join(directory, "scissiond.yaml"),
    device: join(directory, "device.yaml"),
    cloud: join(directory, "cloud.yaml"),
  };
  await writeFile(files.daemon, stringify(daemonSettings(settings)));
  await writeFile(
    files.device,
    stringify({
      ...agentSettings(join(directory, "device"), ports),
      node: { name: "cam-1", tier: "device", hardwareClass: "camera" },
      probeServer: { port: ports.deviceProbe },
      emulate: { slowdown: slowdowns["cam-1"] },
      links: [
        { to: "edge-1", host: HOST, port: ports.deviceToEdge },
        { to: "gpu-1", host: HOST, port: ports.deviceToCloud },
      ],
    }),
  );
  await writeFile(
    files.cloud,
    stringify({
      ...agentSettings(join(directory, "cloud"), ports),
      node: { name: "gpu-1", tier: "cloud", hardwareClass: "server" },
      probeServer: { port: ports.cloudProbe },
      emulate: { slowdown: slowdowns["gpu-1"] },
      links: [],
    }),
  );
  return files;
}

function daemonSettings({ directory, model, ports, slowdowns }: DemoSettings) {
  return {
    site: "demo",
    node: { name: "edge-1", hardwareClass: "gateway" },
    stateDirectory: join(directory, "edge"),
    listen: { host: HOST, port: ports.http },
    mqtt: { broker: { host: HOST, port: ports.broker } },
    probeServer: { port: ports.edgeProbe },
    probe: PROBE,
    links: [{ to: "gpu-1", host: HOST, port: ports.edgeToCloud }],
    models: [{ name: "mobilenet", path: model }],
    pipelines: [
      {
        name: "vision",
        model: "mobilenet",
        devices: { names: "cam-*" },
        constraints: { rawInputStaysOn: "device" },
      },
    ],
    thresholds: THRESHOLDS,
    benchmark: BENCHMARK,
    emulate: { slowdown: slowdowns["edge-1"] },
  };
}

function agentSettings(stateDirectory: string, ports: DemoPorts) {
  return {
    site: "demo",
    stateDirectory,
    daemonUrl: `http://${HOST}:${ports.http}`,
    mqtt: { url: `mqtt://${HOST}:${ports.broker}`, reconnect: { minMs: 100, maxMs: 1_000 } },
    probe: PROBE,
    benchmark: BENCHMARK,
  };
}
