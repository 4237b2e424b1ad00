import { seededRandom, silentLogger, systemClock } from "../../src/core/index.js";
import type { LinkReport, ModelRef, NodeState, Profile, Tier } from "../../src/protocol/index.js";
import { connectTelemetry, mqttOptionsSchema, type Telemetry } from "../../src/telemetry/index.js";

/** Computes `factor` times as long as the profile that the daemon measured itself. */
export interface PacedAgentOptions {
  url: string;
  site: string;
  node: string;
  tier: Tier;
  factor: number;
  /** The profile that is scaled; asked for when the daemon commands a benchmark. */
  reference: (model: ModelRef) => Promise<Profile>;
  onProfile: (profile: Profile) => void;
  /** Further commands that it obeys. */
  commands?: Readonly<Record<string, (command: unknown) => Promise<unknown>>>;
}

export interface PacedAgent {
  readonly telemetry: Telemetry;
  /** Models it was told to benchmark. */
  readonly commanded: ModelRef[];
  report(from: string, to: string, report: LinkReport): void;
  stop(): Promise<void>;
}

/** An agent whose times are known, so that a test knows the best plan. */
export async function startPacedAgent(options: PacedAgentOptions): Promise<PacedAgent> {
  const { node, tier, factor } = options;
  const commanded: ModelRef[] = [];
  const state: NodeState = {
    node,
    status: "online",
    bootId: `${node}-${Math.random().toString(36).slice(2, 10)}`,
    tier,
    hardwareClass: `class-of-${node}`,
    version: "test",
    logicalCores: 1,
    memoryBytes: 1,
    emulatedSlowdown: 1,
    models: [],
  };
  const benchmark = async (command: unknown): Promise<unknown> => {
    const { model } = command as { model: ModelRef };
    commanded.push(model);
    const profile = scaled(await options.reference(model), state, factor);
    telemetry.publishProfile(profile);
    return { measuredAt: profile.measuredAt, wholeMs: profile.wholeMs };
  };
  const telemetry = await connectTelemetry(
    mqttOptionsSchema.parse({ url: options.url, reconnect: { minMs: 50, maxMs: 200 } }),
    { site: options.site, state, role: "agent" },
    {
      log: silentLogger,
      clock: systemClock,
      random: seededRandom(1),
      handlers: {
        onProfile: options.onProfile,
        commands: new Map(Object.entries({ benchmark, ...options.commands })),
      },
    },
  );
  return {
    telemetry,
    commanded,
    report: (from, to, report) => void telemetry.publishLink(from, to, report),
    stop: () => telemetry.stop(),
  };
}

function scaled(profile: Profile, state: NodeState, factor: number): Profile {
  return {
    ...profile,
    node: { name: state.node, tier: state.tier, hardwareClass: state.hardwareClass },
    measuredAt: Date.now(),
    wholeMs: profile.wholeMs * factor,
    blocks: profile.blocks.map((block) => ({ ...block, medianMs: block.medianMs * factor })),
  };
}
