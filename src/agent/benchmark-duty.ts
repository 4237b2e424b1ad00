import { benchmarkModel } from "../benchmark/index.js";
import { AppError, type Clock, type Logger } from "../core/index.js";
import {
  type BenchmarkCommand,
  benchmarkCommandSchema,
  type Profile,
  parseValue,
} from "../protocol/index.js";
import type { ModelCache } from "./model-cache.js";
import type { OneAtATime } from "./one-at-a-time.js";
import type { AgentOptions } from "./options.js";

/** What a benchmark's answer carries; the profile itself travels on its own topic. */
export interface BenchmarkAnswer {
  measuredAt: number;
  wholeMs: number;
}

export interface BenchmarkDutyDeps {
  log: Logger;
  clock: Clock;
  cache: ModelCache;
  /** Shared with all other duties that measure. */
  turns: OneAtATime;
  signal: AbortSignal;
  onProfile(profile: Profile): void;
  onModels(): void;
}

/** The command `benchmark`. A second one for what is being measured joins it; any other is refused as busy. */
export function createBenchmarkDuty(
  options: AgentOptions,
  deps: BenchmarkDutyDeps,
): (command: unknown) => Promise<BenchmarkAnswer> {
  return async (value) => {
    const parsed = parseValue(value, benchmarkCommandSchema);
    if (!parsed.ok) throw new AppError("COMMAND_FAILED", `bad command: ${parsed.message}`);
    const { model, inputs, maxCutTensors } = parsed.value;
    const key = JSON.stringify(["benchmark", model.sha256, inputs, maxCutTensors]);
    return deps.turns.run(key, () => measure(parsed.value, options, deps));
  };
}

async function measure(
  command: BenchmarkCommand,
  options: AgentOptions,
  deps: BenchmarkDutyDeps,
): Promise<BenchmarkAnswer> {
  const expiry = new AbortController();
  const done = new AbortController();
  void deps.clock.sleep(command.timeoutMs, done.signal).then(() => {
    if (!done.signal.aborted) expiry.abort();
  });
  const signal = AbortSignal.any([deps.signal, expiry.signal]);
  try {
    const path = await deps.cache.fetch(command.model, signal);
    deps.onModels();
    const { name, tier, hardwareClass } = options.node;
    const profile = await benchmarkModel(
      {
        path,
        modelName: command.model.name,
        node: { name, tier, hardwareClass },
        inputs: command.inputs,
        emulatedSlowdown: options.emulate.slowdown,
      },
      { ...options.benchmark, maxCutTensors: command.maxCutTensors },
      { log: deps.log, clock: deps.clock, signal },
    );
    if (!profile.equality.ok) {
      const text = "the blocks, chained, compute something else than the model";
      throw new AppError("MODEL_NOT_EQUAL", text);
    }
    deps.onProfile(profile);
    return { measuredAt: profile.measuredAt, wholeMs: profile.wholeMs };
  } catch (cause) {
    if (!expiry.signal.aborted) throw cause;
    const text = `the benchmark was not done within ${command.timeoutMs} ms`;
    throw new AppError("COMMAND_TIMEOUT", text, { cause });
  } finally {
    done.abort();
  }
}
