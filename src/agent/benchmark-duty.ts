import { join } from "node:path";
import {
  createPace,
  KEPT_DIRECTORY,
  type LiveWork,
  paceOf,
  renewProfile,
  tellProgress,
} from "../benchmark/index.js";
import { AppError, type Clock, type Logger } from "../core/index.js";
import {
  type BenchmarkAnswer,
  type BenchmarkCommand,
  type BenchmarkProgress,
  benchmarkCommandSchema,
  type Profile,
  parseValue,
  profileSchema,
} from "../protocol/index.js";
import type { JsonFiles } from "../store/index.js";
import type { ModelCache } from "./model-cache.js";
import type { OneAtATime } from "./one-at-a-time.js";
import type { AgentOptions } from "./options.js";

export interface BenchmarkDutyDeps {
  log: Logger;
  clock: Clock;
  cache: ModelCache;
  /** Shared with all other duties that measure. */
  turns: OneAtATime;
  /** What was measured here last, by SHA-256 of the model. */
  profiles: JsonFiles;
  /** Benchmarks that were stopped, by SHA-256 of the model. */
  checkpoints: JsonFiles;
  /** On this node. */
  liveWork: () => LiveWork;
  signal: AbortSignal;
  onProfile(profile: Profile): void;
  onProgress(progress: BenchmarkProgress): void;
  onModels(): void;
}

/** The command `benchmark`. A second one for what is being measured joins it; any other is refused as busy. */
export function createBenchmarkDuty(
  options: AgentOptions,
  deps: BenchmarkDutyDeps,
): (command: unknown, signal: AbortSignal) => Promise<BenchmarkAnswer> {
  return async (value, signal) => {
    const parsed = parseValue(value, benchmarkCommandSchema);
    if (!parsed.ok) throw new AppError("COMMAND_FAILED", `bad command: ${parsed.message}`);
    const { model, inputs, maxCutTensors } = parsed.value;
    const key = JSON.stringify(["benchmark", model.sha256, inputs, maxCutTensors]);
    return deps.turns.run({ key, signal }, (gone) => {
      const ends = AbortSignal.any([deps.signal, gone]);
      return benchmarkInTime(parsed.value, options, { ...deps, signal: ends });
    });
  };
}

async function benchmarkInTime(
  command: BenchmarkCommand,
  options: AgentOptions,
  deps: BenchmarkDutyDeps,
): Promise<BenchmarkAnswer> {
  const expiry = new AbortController();
  const done = new AbortController();
  void deps.clock.sleep(command.timeoutMs, done.signal).then(() => {
    if (!done.signal.aborted) expiry.abort();
  });
  try {
    const signal = AbortSignal.any([deps.signal, expiry.signal]);
    return await benchmark(command, options, { ...deps, signal });
  } catch (cause) {
    if (!expiry.signal.aborted) throw cause;
    const text = `the benchmark was not done within ${command.timeoutMs} ms`;
    throw new AppError("COMMAND_TIMEOUT", text, { cause });
  } finally {
    done.abort();
  }
}

async function benchmark(
  command: BenchmarkCommand,
  options: AgentOptions,
  deps: BenchmarkDutyDeps,
): Promise<BenchmarkAnswer> {
  const { model, inputs, maxCutTensors, sidecars, timeoutMs } = command;
  const { clock, log, signal, checkpoints, liveWork } = deps;
  const path = await deps.cache.fetch({ ...model, sidecars }, signal);
  deps.onModels();
  const { name, tier, hardwareClass } = options.node;
  const { profile, outcome } = await renewProfile(
    {
      path,
      modelName: model.name,
      sha256: model.sha256,
      node: { name, tier, hardwareClass },
      inputs,
      emulatedSlowdown: options.emulate.slowdown,
      previous: await previousOf(command, deps),
      mayLook: command.look === true,
    },
    { ...options.benchmark, maxCutTensors },
    {
      log,
      clock,
      signal,
      keptDirectory: join(options.stateDirectory, KEPT_DIRECTORY),
      beforeStep: createPace(paceOf({ ...options.benchmark, timeoutMs }), { clock, liveWork }),
      checkpoint: {
        load: () => checkpoints.load(model.sha256),
        save: (value) => checkpoints.save(model.sha256, value),
      },
      onProgress: tellProgress(model, { clock, tell: (progress) => deps.onProgress(progress) }),
    },
  );
  await deps.profiles.save(model.sha256, profile).catch(async (error: unknown) => {
    log.warn({ err: error }, "the profile is published, but not kept for the next look");
    // An older one must not be published in its place at the next start.
    await deps.profiles.save(model.sha256, null).catch(() => undefined);
  });
  deps.onProfile(profile);
  return { measuredAt: profile.measuredAt, wholeMs: profile.wholeMs, outcome };
}

/** What was measured here before, of this very model. */
async function previousOf(
  { model }: BenchmarkCommand,
  { profiles }: BenchmarkDutyDeps,
): Promise<Profile | undefined> {
  const parsed = parseValue(await profiles.load(model.sha256), profileSchema);
  return parsed.ok && parsed.value.model.sha256 === model.sha256 ? parsed.value : undefined;
}
