import type { Daemon } from "../../src/daemon/index.js";
import type { Decision, MeasureCommand, PlanDocument, Profile } from "../../src/protocol/index.js";
import { honest, type Measure } from "./measures.js";
import { type PacedAgent, startPacedAgent } from "./paced-agent.js";
import { until } from "./poll.js";
import { layersOf, linkReporter, planOf, runDaemon, SITE, writeSite } from "./site.js";

export const POOR_MBPS = 0.01;
const GOOD_MBPS = 100;
export const TIMEOUT_MS = 20_000;

/** The first layer on the device, and the rest on the cloud. */
export const SPLIT = "cam-1:0–0 gpu-1:1–5";

interface Surroundings {
  /** What the agents answer; null: they know no such command. */
  device?: Measure | null;
  cloud?: Measure | null;
  /** The section of the configuration. */
  confirm?: object;
  /** Before the daemon starts. */
  prepare?: (directory: string) => Promise<void>;
  /** Absent: the daemon's own broker. */
  brokerUrl?: string;
}

/** What the agents were told. */
interface Told {
  asked: { node: string; layers: string }[];
  yields: { node: string; command: unknown }[];
}

/**
 * A daemon with a plan on cam-1 alone, for the links are poor. The first layer stays there in any case;
 * gpu-1 is by far the fastest for the rest, edge-1 the next. What ends them is added to `cleanup`.
 */
export async function startConfirmingSite(
  cleanup: (() => Promise<unknown>)[],
  surroundings: Surroundings = {},
) {
  const { confirm = {}, prepare, brokerUrl } = surroundings;
  const { device: deviceMeasure = honest(), cloud: cloudMeasure = honest() } = surroundings;
  const constraints = { minBlocksOnDevice: 1 };
  const files = await writeSite({
    confirm,
    ...(brokerUrl === undefined
      ? {}
      : { mqtt: { url: brokerUrl, reconnect: { minMs: 50, maxMs: 200 } } }),
    pipelines: [{ name: "vision", model: "chain", devices: ["cam-1"], constraints }],
  });
  cleanup.push(() => files.remove());
  await prepare?.(files.directory);
  const daemon = await runDaemon(files.configPath);
  cleanup.push(() => daemon.stop());

  const told: Told = { asked: [], yields: [] };
  const agentOf = agentsAt(brokerUrl ?? daemon.broker, told);
  const device = await agentOf("cam-1", { tier: "device", factor: 10, measure: deviceMeasure });
  cleanup.push(() => device.stop());
  const cloud = await agentOf("gpu-1", { tier: "cloud", factor: 0.01, measure: cloudMeasure });
  cleanup.push(() => cloud.stop());
  const links = linkReporter(device);
  cleanup.push(() => {
    links.stop();
    return Promise.resolve();
  });
  const setMbps = (mbps: number): void => links.set({ uplink: mbps, direct: mbps, backbone: mbps });
  setMbps(POOR_MBPS);
  const native = await awaitLayers(daemon, "cam-1:0–5");
  await until(() => daemon.status().profiles.length === 3, { timeoutMs: TIMEOUT_MS });
  return { daemon, files, cloud, native, ...told, improve: () => setMbps(GOOD_MBPS), setMbps };
}

/** Starts agents that share what they know of edge-1, whose profile is scaled for theirs. */
function agentsAt(url: string, { asked, yields }: Told) {
  let edgeProfile: Profile | undefined;
  return (
    node: string,
    given: { tier: "device" | "cloud"; factor: number; measure: Measure | null },
  ): Promise<PacedAgent> => {
    const { tier, factor, measure } = given;
    const own: Profile[] = [];
    const measured = async (value: unknown): Promise<unknown> => {
      const command = value as MeasureCommand;
      for (const { firstLayer, lastLayer } of command.ranges) {
        asked.push({ node, layers: `${firstLayer}–${lastLayer}` });
      }
      return measure?.(command, await until(() => own.at(-1)));
    };
    return startPacedAgent({
      ...{ url, site: SITE, node, tier, factor },
      reference: () => until(() => edgeProfile, { timeoutMs: TIMEOUT_MS }),
      onProfile: (profile) => {
        if (profile.node.name === "edge-1") edgeProfile = profile;
        if (profile.node.name === node) own.push(profile);
      },
      commands: {
        yield: (command) => Promise.resolve(void yields.push({ node, command })),
        ...(measure === null ? {} : { measure: measured }),
      },
    });
  };
}

/** The plan, as soon as these are its nodes and layers; `onEach` sees those before as well. */
export function awaitLayers(
  daemon: Daemon,
  layers: string,
  onEach: (plan: PlanDocument) => void = () => undefined,
): Promise<PlanDocument> {
  return until(
    () => {
      const plan = planOf(daemon);
      if (plan === null) return null;
      onEach(plan);
      return layersOf(plan) === layers ? plan : null;
    },
    { timeoutMs: TIMEOUT_MS, what: `a plan of ${layers}` },
  );
}

export async function decisionsOf(daemon: Daemon): Promise<Decision[]> {
  const answer = await fetch(`http://127.0.0.1:${daemon.port}/api/v1/decisions`);
  return ((await answer.json()) as { decisions: Decision[] }).decisions;
}
