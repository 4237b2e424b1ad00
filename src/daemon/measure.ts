import { join } from "node:path";
import {
  createPace,
  KEPT_DIRECTORY,
  type LiveWork,
  paceOf,
  renewProfile,
  tellProgress,
} from "../benchmark/index.js";
import type { DaemonConfig } from "../config/index.js";
import { AppError, type Clock, type Logger } from "../core/index.js";
import {
  type BenchmarkProgress,
  benchmarkAnswerSchema,
  type NodeState,
  parseValue,
  type Profile,
  type Sidecar,
} from "../protocol/index.js";
import type { JsonFiles } from "../store/index.js";
import { LEASE_MS, type Telemetry } from "../telemetry/index.js";
import type { BenchmarkJob } from "./benchmark-job.js";
import type { MeasureLimits } from "./benchmarks.js";
import { asTold, withCutsOf } from "./model-as-told.js";
import type { ModelFile } from "./models.js";

/** Beyond the time the benchmark itself may take, for the download of the model and the way there. */
const REMOTE_ALLOWANCE_MS = 600_000;
/** A profile travels on its own topic, mostly ahead of the answer that tells of it. */
const ARRIVAL_MS = 30_000;
const ARRIVAL_POLL_MS = 50;

const MS_PER_HOUR = 3_600_000;

export interface MeasureDeps {
  self: () => NodeState;
  config: () => DaemonConfig;
  /** What the node measured itself before. */
  profileOf: (job: BenchmarkJob) => Profile | undefined;
  sidecarsOf: (model: ModelFile, signal: AbortSignal) => Promise<Sidecar[]>;
  /** On this node. */
  liveWork: () => LiveWork;
  /** Benchmarks of this node that were stopped, by SHA-256. */
  checkpoints: JsonFiles;
  telemetry: Pick<Telemetry, "command" | "publishProfile">;
  /** Takes the profile of this node itself; those of others arrive by telemetry. */
  onProfile: (profile: Profile) => Promise<void>;
  onProgress: (node: string, progress: BenchmarkProgress | undefined) => void;
  clock: Clock;
  log: Logger;
}

type Measure = (job: BenchmarkJob, limits: MeasureLimits) => Promise<string>;

/** Measures a model: here in a child process, elsewhere by a command to the agent. */
export function createMeasure(deps: MeasureDeps): Measure {
  return async (job, limits) => {
    const isHere = job.node === deps.self().node;
    try {
      return await (isHere ? measureHere(job, limits, deps) : measureThere(job, limits, deps));
    } finally {
      deps.onProgress(job.node, undefined);
    }
  };
}

async function measureHere(
  job: BenchmarkJob,
  { signal, mayLook }: MeasureLimits,
  deps: MeasureDeps,
): Promise<string> {
  const { model, node } = job;
  const { clock, log, checkpoints } = deps;
  const { benchmark, emulate, stateDirectory } = deps.config();
  const { tier, hardwareClass } = deps.self();
  const previous = deps.profileOf(job);
  const { profile, outcome } = await renewProfile(
    {
      path: model.path,
      modelName: model.name,
      sha256: model.sha256,
      node: { tier, name: node, hardwareClass },
      inputs: [...model.inputs],
      emulatedSlowdown: emulate.slowdown,
      previous,
      mayLook: mayLook && isLookEnough(previous, deps),
    },
    withCutsOf(model, benchmark),
    {
      log,
      clock,
      signal,
      keptDirectory: join(stateDirectory, KEPT_DIRECTORY),
      beforeStep: createPace(paceOf(benchmark), { clock, liveWork: deps.liveWork }),
      checkpoint: {
        load: () => checkpoints.load(model.sha256),
        save: (value) => checkpoints.save(model.sha256, value),
      },
      onProgress: tellProgress(
        { name: model.name, sha256: model.sha256 },
        { clock, tell: (progress) => deps.onProgress(node, progress) },
      ),
    },
  );
  // So that it is seen when they change.
  if (profile.externalSha256 !== undefined) await deps.sidecarsOf(model, signal);
  await deps.onProfile(profile);
  deps.telemetry.publishProfile(profile);
  return outcome;
}

/** Whether the blocks of a profile are not too old to be looked at only. */
function isLookEnough(
  profile: Profile | undefined,
  { clock, config }: Pick<MeasureDeps, "config" | "clock">,
): boolean {
  if (profile === undefined) return false;
  const ageMs = clock.nowMs() - (profile.refreshed?.fullAt ?? profile.measuredAt);
  // A clock that was set back must not keep old blocks for ever.
  return ageMs >= 0 && ageMs <= config().schedule.maxProfileAgeHours * MS_PER_HOUR;
}

async function measureThere(
  job: BenchmarkJob,
  { signal, mayLook, timeLeftMs }: MeasureLimits,
  deps: MeasureDeps,
): Promise<string> {
  const { model, node } = job;
  const { benchmark } = deps.config();
  const timeoutMs = Math.max(1, Math.round(Math.min(benchmark.timeoutMs, timeLeftMs)));
  const answer = parseValue(
    await deps.telemetry.command(
      node,
      "benchmark",
      {
        ...(await asTold(model, { benchmark, sidecarsOf: deps.sidecarsOf, signal })),
        timeoutMs,
        ...(mayLook && isLookEnough(deps.profileOf(job), deps) ? { look: true } : {}),
      },
      { timeoutMs: timeoutMs + REMOTE_ALLOWANCE_MS, leaseMs: LEASE_MS, signal },
    ),
    benchmarkAnswerSchema,
  );
  if (!answer.ok) {
    throw new AppError("COMMAND_FAILED", `${node} answered with garbage: ${answer.message}`);
  }
  await arrival(job, answer.value.measuredAt, { signal, deps });
  return answer.value.outcome ?? "measured";
}

/** Waits until the profile that an answer tells of is here and was found good. */
async function arrival(
  job: BenchmarkJob,
  measuredAt: number,
  { signal, deps }: { signal: AbortSignal; deps: MeasureDeps },
): Promise<void> {
  const { clock } = deps;
  const deadlineMs = clock.monotonicMs() + ARRIVAL_MS;
  while (deps.profileOf(job)?.measuredAt !== measuredAt) {
    if (signal.aborted) throw new AppError("ABORTED", "the benchmark was given up");
    if (clock.monotonicMs() > deadlineMs) {
      const text = `${job.node} says it measured ${job.model.name}, but sent no profile that can be used`;
      throw new AppError("PROFILE_INVALID", text);
    }
    await clock.sleep(ARRIVAL_POLL_MS, signal);
  }
}
