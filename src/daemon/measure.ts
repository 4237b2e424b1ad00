import { benchmarkModel } from "../benchmark/index.js";
import type { DaemonConfig } from "../config/index.js";
import { AppError, type Clock, type Logger } from "../core/index.js";
import type { NodeState, Profile } from "../protocol/index.js";
import type { Telemetry } from "../telemetry/index.js";
import type { BenchmarkJob } from "./benchmarks.js";

/** Beyond the time the benchmark itself may take, for the download of the model and the way there. */
const REMOTE_ALLOWANCE_MS = 600_000;

export interface MeasureDeps {
  self: () => NodeState;
  config: () => DaemonConfig;
  telemetry: Pick<Telemetry, "command" | "publishProfile">;
  /** Takes the profile of this node itself; those of others arrive by telemetry. */
  onProfile: (profile: Profile) => Promise<void>;
  clock: Clock;
  log: Logger;
}

/** Measures a model: here in a child process, elsewhere by a command to the agent. */
export function createMeasure(
  deps: MeasureDeps,
): (job: BenchmarkJob, signal: AbortSignal) => Promise<void> {
  return async (job, signal) => {
    if (job.node === deps.self().node) await measureHere(job, signal, deps);
    else await measureThere(job, signal, deps);
  };
}

async function measureHere(
  { model }: BenchmarkJob,
  signal: AbortSignal,
  deps: MeasureDeps,
): Promise<void> {
  const { benchmark, emulate } = deps.config();
  const { node, tier, hardwareClass } = deps.self();
  const profile = await benchmarkModel(
    {
      path: model.path,
      modelName: model.name,
      node: { tier, name: node, hardwareClass },
      inputs: [...model.inputs],
      emulatedSlowdown: emulate.slowdown,
    },
    { ...benchmark, maxCutTensors: model.maxCutTensors ?? benchmark.maxCutTensors },
    { log: deps.log, clock: deps.clock, signal },
  );
  if (!profile.equality.ok) {
    throw new AppError("MODEL_NOT_EQUAL", notEqual(profile));
  }
  await deps.onProfile(profile);
  deps.telemetry.publishProfile(profile);
}

/** Why a profile must not be planned with: its blocks, chained, are another model. */
export function notEqual(profile: Profile): string {
  const { maxRelativeError } = profile.equality;
  return `on ${profile.node.name} the blocks of ${profile.model.name}, chained, compute something else than the model (relative error ${maxRelativeError.toPrecision(2)})`;
}

async function measureThere(
  { model, node }: BenchmarkJob,
  signal: AbortSignal,
  deps: MeasureDeps,
): Promise<void> {
  const { benchmark } = deps.config();
  const { timeoutMs } = benchmark;
  const { name, sha256, inputs } = model;
  const maxCutTensors = model.maxCutTensors ?? benchmark.maxCutTensors;
  await deps.telemetry.command(
    node,
    "benchmark",
    { model: { name, sha256 }, inputs, maxCutTensors, timeoutMs },
    { timeoutMs: timeoutMs + REMOTE_ALLOWANCE_MS, signal },
  );
}
