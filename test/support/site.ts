import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { onnxruntimeVersion } from "../../src/cli/version.js";
import { type DaemonConfig, loadDaemonConfig } from "../../src/config/index.js";
import { type Clock, silentLogger, systemClock } from "../../src/core/index.js";
import { type Daemon, startDaemon } from "../../src/daemon/index.js";
import type { Decision, ModelRef, PlanDocument, Profile, Tier } from "../../src/protocol/index.js";
import { buildModel, externalFloats, floats, node, value } from "./onnx-builder.js";
import { type PacedAgent, startPacedAgent } from "./paced-agent.js";
import { until } from "./poll.js";

export const SITE = "test-site";
const LAYERS = 6;
export const CHAIN_WIDTH = 128;
const STATE_TIMEOUT_MS = 20_000;

/**
 * A chain of matrix products: small, quick, and every layer's output may be cut. The last layer's weights
 * lie in the file `lastWeights`, where one is given.
 */
export function chainModel(seed = 0, lastWeights?: string): Uint8Array {
  const weights = Array.from({ length: LAYERS }, (_, layer) =>
    floats(
      `w${layer}`,
      Array.from(
        { length: CHAIN_WIDTH * CHAIN_WIDTH },
        (_, i) => Math.sin(i + layer + seed) / CHAIN_WIDTH,
      ),
      [CHAIN_WIDTH, CHAIN_WIDTH],
    ),
  );
  if (lastWeights !== undefined) {
    const shape = [CHAIN_WIDTH, CHAIN_WIDTH];
    weights[LAYERS - 1] = externalFloats(`w${LAYERS - 1}`, shape, { location: lastWeights });
  }
  return buildModel({
    nodes: weights.map((_, layer) =>
      node("MatMul", [layer === 0 ? "x" : `h${layer - 1}`, `w${layer}`], [`h${layer}`]),
    ),
    inputs: [value("x", [64, CHAIN_WIDTH])],
    outputs: [value(`h${LAYERS - 1}`, [64, CHAIN_WIDTH])],
    initializers: weights,
  });
}

/** A directory with the model and a configuration file; `overrides` replace top-level sections. */
export async function writeSite(
  overrides: Record<string, unknown> = {},
): Promise<{ directory: string; configPath: string; remove(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), "scissiond-site-"));
  await writeFile(join(directory, "chain.onnx"), chainModel());
  const configPath = join(directory, "scissiond.yaml");
  await writeFile(configPath, siteYaml(overrides));
  return { directory, configPath, remove: () => rm(directory, { recursive: true, force: true }) };
}

export function siteYaml(overrides: Record<string, unknown> = {}): string {
  return stringify({
    site: SITE,
    node: { name: "edge-1" },
    stateDirectory: "state",
    listen: { port: 0 },
    mqtt: { broker: { port: 0 }, reconnect: { minMs: 50, maxMs: 200 } },
    probeServer: { enabled: false },
    models: [{ name: "chain", path: "chain.onnx" }],
    pipelines: [{ name: "vision", model: "chain", devices: ["cam-1"] }],
    thresholds: { smoothingHalfLifeSeconds: 0.05, holdSeconds: 0, cooldownSeconds: 0 },
    benchmark: { warmups: 1, repeats: 5, cpuSharePercent: 100, liveSharePercent: 100 },
    // Milliseconds in place of microseconds, so that computing weighs as much as the links.
    emulate: { slowdown: 1_000 },
    ...overrides,
  });
}

export async function loadConfig(configPath: string): Promise<DaemonConfig> {
  const loaded = await loadDaemonConfig(configPath, {});
  if (!loaded.ok) throw new Error(loaded.errors.map((error) => error.message).join("\n"));
  return loaded.config;
}

export async function runDaemon(configPath: string, clock: Clock = systemClock): Promise<Daemon> {
  return startDaemon(await loadConfig(configPath), {
    log: silentLogger,
    clock,
    random: Math.random,
    newId: randomUUID,
    // The true ones: a profile of another environment than the node's own is measured again.
    versions: {
      scissiond: "test",
      node: process.versions.node,
      onnxruntime: onnxruntimeVersion(),
    },
  });
}

/** Device, edge and cloud whose speeds and links the test sets. */
export interface Site {
  device: PacedAgent;
  cloud: PacedAgent | undefined;
  startCloud(): Promise<void>;
  /** Reports all three links again and again until the next call. */
  setLinks(links: SiteLinks): void;
  stop(): Promise<void>;
}

/** Mbps and milliseconds of the links between cam-1, edge-1 and gpu-1, either way. */
export interface SiteLinks {
  uplink: number;
  direct: number;
  backbone: number;
  rttMs?: number;
}

export interface LinkReporter {
  /** Reports all three links again and again until the next call. */
  set(links: SiteLinks): void;
  stop(): void;
}

/** The device measures links as the test tells. */
export function linkReporter(device: PacedAgent): LinkReporter {
  let reporting: NodeJS.Timeout | undefined;
  return {
    set: ({ uplink, direct, backbone, rttMs = 2 }) => {
      clearInterval(reporting);
      const report = (): void => {
        const both = (one: string, other: string, bandwidthMbps: number): void => {
          device.report(one, other, { rttMs, bandwidthMbps });
          device.report(other, one, { rttMs, bandwidthMbps });
        };
        both("cam-1", "edge-1", uplink);
        both("cam-1", "gpu-1", direct);
        both("edge-1", "gpu-1", backbone);
      };
      report();
      reporting = setInterval(report, 150);
    },
    stop: () => clearInterval(reporting),
  };
}

/** Starts a slow device and a fast cloud beside the daemon whose broker is at `brokerUrl`. */
export async function startSite(
  brokerUrl: string,
  { hasCloud = true }: { hasCloud?: boolean } = {},
): Promise<Site> {
  let edgeProfile: Profile | undefined;
  const reference = ({ sha256 }: ModelRef) =>
    until(() => (edgeProfile?.model.sha256 === sha256 ? edgeProfile : undefined), {
      timeoutMs: STATE_TIMEOUT_MS,
      what: "profile",
    });
  const agent = (name: string, tier: Tier, factor: number): Promise<PacedAgent> =>
    startPacedAgent({
      url: brokerUrl,
      site: SITE,
      node: name,
      tier,
      factor,
      reference,
      onProfile: (profile) => {
        if (profile.node.name === "edge-1") edgeProfile = profile;
      },
    });
  const device = await agent("cam-1", "device", 10);
  let cloud = hasCloud ? await agent("gpu-1", "cloud", 0.01) : undefined;
  const links = linkReporter(device);
  return {
    device,
    get cloud() {
      return cloud;
    },
    startCloud: async () => {
      cloud = await agent("gpu-1", "cloud", 0.01);
    },
    setLinks: (given) => links.set(given),
    stop: async () => {
      links.stop();
      await device.stop();
      await cloud?.stop();
    },
  };
}

export interface DaemonAtSite {
  daemon: Daemon;
  site: Site;
  /** With the model's file and the configuration. */
  directory: string;
  configPath: string;
}

/** A daemon with device, edge and cloud around it; what ends them is added to `cleanup`. */
export async function startDaemonAtSite(
  cleanup: { push(step: () => Promise<unknown>): unknown },
  {
    overrides = {},
    clock,
  }: { overrides?: Record<string, unknown>; clock?: Clock | undefined } = {},
): Promise<DaemonAtSite> {
  const files = await writeSite(overrides);
  cleanup.push(() => files.remove());
  const { directory, configPath } = files;
  const daemon = await runDaemon(configPath, clock);
  cleanup.push(() => daemon.stop());
  const site = await startSite(daemon.broker);
  cleanup.push(() => site.stop());
  return { daemon, site, directory, configPath };
}

/** The site's plan, as soon as its partitions are on these tiers. */
export function awaitTiers(
  daemon: Daemon,
  tiers: string,
  timeoutMs = 20_000,
): Promise<PlanDocument> {
  return until(() => (tiersOf(planOf(daemon)) === tiers ? planOf(daemon) : null), {
    timeoutMs,
    what: `a plan on ${tiers}`,
  });
}

/** The plan in force of the site's one pipeline. */
export function planOf(daemon: Daemon): PlanDocument | null {
  return daemon.status().pipelines[0]?.plan ?? null;
}

export function lastDecision(daemon: Daemon): Decision | null {
  return daemon.status().pipelines[0]?.lastDecision ?? null;
}

export function tiersOf(plan: PlanDocument | null): string {
  return plan?.partitions.map(({ tier }) => tier).join(" ") ?? "";
}

/** Which node runs which layers. */
export function layersOf({ partitions }: PlanDocument): string {
  return partitions
    .map(({ node, firstLayer, lastLayer }) => `${node}:${firstLayer}–${lastLayer}`)
    .join(" ");
}
