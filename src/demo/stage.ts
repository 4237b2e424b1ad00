import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock, Logger, Teardown } from "../core/index.js";
import { buildModel } from "../zoo/index.js";
import { type LinkEmulator, startLinkEmulator } from "./link-emulator.js";
import { freePorts } from "./ports.js";
import { type DemoProcess, startProcess } from "./process.js";
import { LINK_NAMES, type LinkName, type LinkSpeed } from "./scenario.js";
import { type DemoFiles, type DemoPorts, writeSettings } from "./settings.js";
import { chooseSlowdowns, type Slowdowns } from "./slowdowns.js";
import { startSubscriber, type Subscriber } from "./subscriber.js";

const HOST = "127.0.0.1";
const MODEL_SEED = 1;
const SUBSCRIBERS = 2;
const START_TIMEOUT_MS = 60_000;
const START_POLL_MS = 50;

export interface StageDeps {
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  teardown: Teardown;
}

/** The processes and links of one demo. */
export interface Stage {
  url: string;
  slowdowns: Slowdowns;
  links: ReadonlyMap<LinkName, LinkEmulator>;
  subscribers: readonly Subscriber[];
  /** A process that ended although nobody asked it to. */
  casualty(): DemoProcess | undefined;
  killCloud(): Promise<void>;
  startCloud(): void;
}

/** Sets everything up; whatever is started is taken down by `teardown`. */
export async function buildStage(
  speeds: Readonly<Record<LinkName, LinkSpeed>>,
  deps: StageDeps,
): Promise<Stage> {
  const { teardown } = deps;
  const directory = await mkdtemp(join(tmpdir(), "scissiond-demo-"));
  teardown.defer("files", () => rm(directory, { recursive: true, force: true }));
  const model = join(directory, "mobilenet.onnx");
  await writeFile(model, buildModel("mobilenet", { seed: MODEL_SEED, light: false }));

  const slowdowns = await chooseSlowdowns(model, deps);
  const ports = await choosePorts();
  const files = await writeSettings({ directory, model, ports, slowdowns });
  const links = await startLinks(speeds, ports, deps);
  const processes = startNodes(files, teardown);
  const url = `http://${HOST}:${ports.http}`;
  await untilServing(url, processes.all, deps.clock);
  const subscribers = Array.from({ length: SUBSCRIBERS }, (_, index) => {
    const subscriber = startSubscriber(`subscriber ${index + 1}`, url);
    teardown.defer(subscriber.process.name, () => subscriber.process.stop());
    return subscriber;
  });
  const everybody = () => [...processes.all(), ...subscribers.map(({ process }) => process)];
  return {
    ...processes,
    url,
    slowdowns,
    links,
    subscribers,
    casualty: () => casualtyAmong(everybody()),
  };
}

/** A subscriber that finds no daemon gives up at once, so it is started when there is one. */
async function untilServing(
  url: string,
  processes: () => readonly DemoProcess[],
  clock: Clock,
): Promise<void> {
  const deadlineMs = clock.monotonicMs() + START_TIMEOUT_MS;
  const isServing = () =>
    fetch(`${url}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isServing())) {
    if (casualtyAmong(processes()) !== undefined || clock.monotonicMs() > deadlineMs) return;
    await clock.sleep(START_POLL_MS);
  }
}

function casualtyAmong(processes: readonly DemoProcess[]): DemoProcess | undefined {
  return processes.find((process) => process.ended);
}

async function choosePorts(): Promise<DemoPorts> {
  const [http = 0, broker = 0, edgeProbe = 0, cloudProbe = 0, deviceProbe = 0, ...ways] =
    await freePorts(8);
  const [deviceToEdge = 0, deviceToCloud = 0, edgeToCloud = 0] = ways;
  return {
    http,
    broker,
    edgeProbe,
    cloudProbe,
    deviceProbe,
    deviceToEdge,
    deviceToCloud,
    edgeToCloud,
  };
}

async function startLinks(
  speeds: Readonly<Record<LinkName, LinkSpeed>>,
  ports: DemoPorts,
  { clock, teardown }: Pick<StageDeps, "clock" | "teardown">,
): Promise<Map<LinkName, LinkEmulator>> {
  const ways: Record<LinkName, { listenPort: number; targetPort: number }> = {
    "cam-1 → edge-1": { listenPort: ports.deviceToEdge, targetPort: ports.edgeProbe },
    "cam-1 → gpu-1": { listenPort: ports.deviceToCloud, targetPort: ports.cloudProbe },
    "edge-1 → gpu-1": { listenPort: ports.edgeToCloud, targetPort: ports.cloudProbe },
  };
  const links = new Map<LinkName, LinkEmulator>();
  for (const name of LINK_NAMES) {
    const { listenPort, targetPort } = ways[name];
    const emulator = await startLinkEmulator(
      { listenPort, target: { host: HOST, port: targetPort }, ...speeds[name] },
      { clock },
    );
    teardown.defer(`link ${name}`, () => emulator.stop());
    links.set(name, emulator);
  }
  return links;
}

function startNodes(
  files: DemoFiles,
  teardown: Teardown,
): Pick<Stage, "killCloud" | "startCloud"> & { all: () => DemoProcess[] } {
  const daemon = startProcess("daemon on edge-1", ["run", "--config", files.daemon]);
  teardown.defer(daemon.name, () => daemon.stop());
  const device = startProcess("agent on cam-1", ["agent", "--config", files.device]);
  teardown.defer(device.name, () => device.stop());
  const startCloudAgent = () => startProcess("agent on gpu-1", ["agent", "--config", files.cloud]);
  let cloud: DemoProcess | undefined = startCloudAgent();
  teardown.defer("agent on gpu-1", () => cloud?.stop());
  return {
    all: () => [daemon, device, ...(cloud === undefined ? [] : [cloud])],
    killCloud: async () => {
      const victim = cloud;
      cloud = undefined;
      await victim?.kill();
    },
    startCloud: () => {
      cloud = startCloudAgent();
    },
  };
}
