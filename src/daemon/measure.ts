import {
  type BenchmarkRequest,
  benchmarkModel,
  judgeSentinel,
  readSentinel,
  refreshProfile,
} from "../benchmark/index.js";
import type { DaemonConfig } from "../config/index.js";
import { AppError, type Clock, type Logger } from "../core/index.js";
import type { NodeState, Profile } from "../protocol/index.js";
import type { Telemetry } from "../telemetry/index.js";
import type { BenchmarkJob } from "./benchmarks.js";

/** Beyond the time the benchmark itself may take, for the download of the model and the way there. */
const REMOTE_ALLOWANCE_MS = 600_000;

const MS_PER_HOUR = 3_600_000;

export interface MeasureDeps {
  self: () => NodeState;
  config: () => DaemonConfig;
  /** What is known of the job from before. */
  profileOf: (job: BenchmarkJob) => Profile | undefined;
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
  job: BenchmarkJob,
  signal: AbortSignal,
  deps: MeasureDeps,
): Promise<void> {
  const { model } = job;
  const { benchmark, emulate } = deps.config();
  const { node, tier, hardwareClass } = deps.self();
  const request = {
    path: model.path,
    modelName: model.name,
    node: { tier, name: node, hardwareClass },
    inputs: [...model.inputs],
    emulatedSlowdown: emulate.slowdown,
    previous: deps.profileOf(job),
  };
  const profile =
    (await refreshed(job, { request, signal, deps })) ??
    (await benchmarkModel(
      request,
      { ...benchmark, maxCutTensors: model.maxCutTensors ?? benchmark.maxCutTensors },
      { log: deps.log, clock: deps.clock, signal },
    ));
  if (!profile.equality.ok) {
    throw new AppError("MODEL_NOT_EQUAL", notEqual(profile));
  }
  await deps.onProfile(profile);
  deps.telemetry.publishProfile(profile);
}

/** The profile from before, where a short look says that it holds, scaled or not. */
async function refreshed(
  job: BenchmarkJob,
  context: { request: BenchmarkRequest; signal: AbortSignal; deps: MeasureDeps },
): Promise<Profile | undefined> {
  const { request, signal, deps } = context;
  const { benchmark, schedule } = deps.config();
  const profile = deps.profileOf(job);
  if (!benchmark.sentinel.enabled || profile?.node.name !== job.node) return undefined;
  const ageMs = deps.clock.nowMs() - (profile.refreshed?.fullAt ?? profile.measuredAt);
  // A clock that was set back must not keep old blocks for ever.
  if (ageMs < 0 || ageMs > schedule.maxProfileAgeHours * MS_PER_HOUR) return undefined;
  const { log, clock } = deps;
  const reading = await readSentinel(request, benchmark, { log, clock, signal });
  const verdict = judgeSentinel(profile, reading, benchmark.sentinel);
  log.info({ model: job.model.name, node: job.node, verdict }, "looked before benchmarking");
  switch (verdict.kind) {
    case "ok":
      return refreshProfile(profile, reading, 1);
    case "scale":
      return refreshProfile(profile, reading, verdict.factor);
    case "full":
      return undefined;
  }
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
