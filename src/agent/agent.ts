import { join } from "node:path";
import { cpus, totalmem } from "node:os";
import { describeEnvironment, findMissingProviders, readHostId } from "../benchmark/index.js";
import { type Clock, type Logger, type Random, Teardown } from "../core/index.js";
import type {
  BenchmarkProgress,
  MissingProvider,
  NodeCommandName,
  NodeState,
  Profile,
} from "../protocol/index.js";
import { openJsonFiles } from "../store/index.js";
import {
  type CommandHandler,
  connectTelemetry,
  createBurstGate,
  PassiveLinks,
  startLinkProber,
  startProbeServer,
  type Telemetry,
} from "../telemetry/index.js";
import { type BenchmarkDutyDeps, createBenchmarkDuty } from "./benchmark-duty.js";
import { publishKept } from "./kept-profiles.js";
import { createMeasureDuty } from "./measure-duty.js";
import { openModelCache } from "./model-cache.js";
import { OneAtATime } from "./one-at-a-time.js";
import type { AgentOptions } from "./options.js";
import { createYieldDuty } from "./yield-duty.js";

/** A benchmark that is stopped has a child process to end. */
const STEP_TIMEOUT_MS = 10_000;

/** Of profiles and of checkpoints: as many models as these are remembered. */
const KEPT = { filesMax: 64, bytesMax: 16 * 1_024 ** 2 };

export interface AgentDeps {
  log: Logger;
  clock: Clock;
  random: Random;
  newId: () => string;
  version: string;
  versions: { node: string; onnxruntime: string };
}

export interface Agent {
  /** Where peers probe this node; undefined where they may not. */
  readonly probePort: number | undefined;
  /** False while there is no broker. */
  readonly connected: boolean;
  /** Publishes `offline` and stops. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts the agent of a device or cloud node: it answers probes, measures its links, and benchmarks on
 * command. A broker that is away is no error: it is tried for ever. LISTEN_FAILED.
 */
export async function startAgent(options: AgentOptions, deps: AgentDeps): Promise<Agent> {
  const teardown = new Teardown(deps.log, { stepTimeoutMs: STEP_TIMEOUT_MS });
  try {
    const { log, clock } = deps;
    const { stateDirectory } = options;
    const cache = await openModelCache(
      { ...options, directory: join(stateDirectory, "models") },
      { log, clock },
    );
    const { probeServer: serverOptions } = options;
    const gate = createBurstGate();
    const passive = new PassiveLinks(clock);
    const server = serverOptions.enabled
      ? await startProbeServer(serverOptions, { log, clock, gate })
      : undefined;
    teardown.defer("probe server", () => server?.stop());
    const telemetry = await joinTelemetry(options, {
      ...deps,
      cache,
      teardown,
      passive,
      profiles: await openJsonFiles({ ...KEPT, directory: join(stateDirectory, "profiles") }),
      checkpoints: await openJsonFiles({ ...KEPT, directory: join(stateDirectory, "checkpoints") }),
    });
    const prober = startLinkProber(
      { self: options.node.name, peers: options.links, probe: options.probe },
      {
        ...deps,
        gate,
        passive,
        publishLink: (from, to, report) => telemetry.publishLink(from, to, report),
      },
    );
    teardown.defer("link prober", () => prober.stop());
    return {
      probePort: server?.port,
      get connected() {
        return telemetry.connected;
      },
      stop: () => teardown.run(),
    };
  } catch (cause) {
    await teardown.run().catch(() => undefined);
    throw cause;
  }
}

async function joinTelemetry(
  options: AgentOptions,
  deps: AgentDeps &
    Pick<BenchmarkDutyDeps, "cache" | "profiles" | "checkpoints"> & {
      teardown: Teardown;
      passive: PassiveLinks;
    },
): Promise<Telemetry> {
  const { cache, teardown } = deps;
  const bootId = deps.newId();
  const hostId = await readHostId();
  const environment = describeEnvironment(options.benchmark, deps.versions);
  let missingProviders: MissingProvider[] = [];
  const state = (): NodeState => ({
    node: options.node.name,
    status: "online",
    bootId,
    tier: options.node.tier,
    hardwareClass: options.node.hardwareClass,
    version: deps.version,
    logicalCores: cpus().length,
    memoryBytes: totalmem(),
    emulatedSlowdown: options.emulate.slowdown,
    models: cache.models(),
    ...(hostId === undefined ? {} : { hostId }),
    environment,
    ...(missingProviders.length === 0 ? {} : { missingProviders }),
  });
  const stopping = new AbortController();
  const liveWork = createYieldDuty(deps.clock);
  const turns = new OneAtATime();
  const duty = {
    log: deps.log.child({ component: "benchmark" }),
    clock: deps.clock,
    cache,
    profiles: deps.profiles,
    checkpoints: deps.checkpoints,
    turns,
    liveWork: () => liveWork.liveWork(),
    signal: stopping.signal,
    onProfile: (profile: Profile) => telemetry.publishProfile(profile),
    onProgress: (progress: BenchmarkProgress) => telemetry.publishProgress(progress),
    onModels: () => telemetry.setState(state()),
  };
  const duties: Record<NodeCommandName, CommandHandler> = {
    benchmark: createBenchmarkDuty(options, duty),
    measure: createMeasureDuty(options, duty),
    yield: (command) => liveWork.obey(command),
  };
  const commands = new Map(Object.entries(duties));
  const telemetry = await connectTelemetry(
    options.mqtt,
    { site: options.site, role: "agent", state: state() },
    {
      log: deps.log.child({ component: "telemetry" }),
      clock: deps.clock,
      random: deps.random,
      handlers: { commands, onLink: (event) => deps.passive.hear(event) },
    },
  );
  teardown.defer("telemetry", () => telemetry.stop());
  teardown.defer("benchmark", () => stopping.abort());
  void findMissingProviders(options.benchmark.inference, duty).then((missing = []) => {
    missingProviders = missing;
    if (missing.length > 0) telemetry.setState(state());
  });
  await publishKept(deps.profiles, options.node, duty.onProfile);
  return telemetry;
}
