import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { type DaemonConfig, loadDaemonConfig } from "../../src/config/index.js";
import { type Clock, silentLogger, systemClock } from "../../src/core/index.js";
import { type Daemon, startDaemon } from "../../src/daemon/index.js";
import type { Decision, ModelRef, PlanDocument, Profile, Tier } from "../../src/protocol/index.js";
import { buildModel, floats, node, value } from "./onnx-builder.js";
import { type PacedAgent, startPacedAgent } from "./paced-agent.js";
import { until } from "./poll.js";

export const SITE = "test-site";
const LAYERS = 6;
const WIDTH = 128;
const STATE_TIMEOUT_MS = 20_000;

/** A chain of matrix products: small, quick, and every layer's output may be cut. */
export function chainModel(seed = 0): Uint8Array {
  const weights = Array.from({ length: LAYERS }, (_, layer) =>
    floats(
      `w${layer}`,
      Array.from({ length: WIDTH * WIDTH }, (_, i) => Math.sin(i + layer + seed) / WIDTH),
      [WIDTH, WIDTH],
    ),
  );
  return buildModel({
    nodes: weights.map((_, layer) =>
      node("MatMul", [layer === 0 ? "x" : `h${layer - 1}`, `w${layer}`], [`h${layer}`]),
    ),
    inputs: [value("x", [64, WIDTH])],
    outputs: [value(`h${LAYERS - 1}`, [64, WIDTH])],
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
    benchmark: { warmups: 1, repeats: 5, cpuSharePercent: 100 },
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
    versions: { scissiond: "test", node: "test", onnxruntime: "test" },
  });
}

/** Device, edge and cloud whose speeds and links the test sets. */
export interface Site {
  device: PacedAgent;
  cloud: PacedAgent | undefined;
  startCloud(): Promise<void>;
  /** Reports all three links again and again until the next call. */
  setLinks(links: { uplink: number; direct: number; backbone: number; rttMs?: number }): void;
  stop(): Promise<void>;
}

/** Starts a slow device and a fast cloud beside the daemon whose broker is at `brokerUrl`. */
export async function startSite(brokerUrl: string): Promise<Site> {
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
  let cloud: PacedAgent | undefined = await agent("gpu-1", "cloud", 0.01);
  let reporting = setInterval(() => undefined, 1_000);
  return {
    device,
    get cloud() {
      return cloud;
    },
    startCloud: async () => {
      cloud = await agent("gpu-1", "cloud", 0.01);
    },
    setLinks: ({ uplink, direct, backbone, rttMs = 2 }) => {
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
    stop: async () => {
      clearInterval(reporting);
      await device.stop();
      await cloud?.stop();
    },
  };
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
