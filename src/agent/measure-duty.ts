import { answerMeasure, confirmingPaceOf, createPace, type LiveWork } from "../benchmark/index.js";
import { AppError, type Clock, type Logger } from "../core/index.js";
import {
  type MeasureAnswer,
  type MeasureCommand,
  measureCommandSchema,
  parseValue,
} from "../protocol/index.js";
import type { ModelCache } from "./model-cache.js";
import type { OneAtATime } from "./one-at-a-time.js";
import type { AgentOptions } from "./options.js";

export interface MeasureDutyDeps {
  log: Logger;
  clock: Clock;
  cache: ModelCache;
  /** Shared with all other duties that measure. */
  turns: OneAtATime;
  /** On this node. */
  liveWork: () => LiveWork;
  signal: AbortSignal;
  onModels(): void;
}

/**
 * The command `measure`: what single partitions take, so that a plan can be confirmed before it is
 * published. A node that measures something else answers that it is busy.
 */
export function createMeasureDuty(
  options: AgentOptions,
  deps: MeasureDutyDeps,
): (command: unknown, signal: AbortSignal) => Promise<MeasureAnswer> {
  return async (value, signal) => {
    const parsed = parseValue(value, measureCommandSchema);
    if (!parsed.ok) throw new AppError("COMMAND_FAILED", `bad command: ${parsed.message}`);
    const { model, inputs, maxCutTensors, ranges } = parsed.value;
    const key = JSON.stringify(["measure", model.sha256, inputs, maxCutTensors, ranges]);
    if (deps.turns.isBusyWithout(key)) return { kind: "busy" };
    return deps.turns.run({ key, signal }, (gone) => {
      const ends = AbortSignal.any([deps.signal, gone]);
      return measure(parsed.value, options, { ...deps, signal: ends });
    });
  };
}

async function measure(
  command: MeasureCommand,
  options: AgentOptions,
  deps: MeasureDutyDeps,
): Promise<MeasureAnswer> {
  const { log, clock, liveWork } = deps;
  const { model, inputs, maxCutTensors, ranges, sidecars, wholeMs, timeoutMs } = command;
  const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(timeoutMs)]);
  const path = await deps.cache.fetch({ ...model, sidecars }, signal);
  deps.onModels();
  const benchmark = { ...options.benchmark, maxCutTensors, timeoutMs };
  const beforeStep = createPace(confirmingPaceOf(benchmark), { clock, liveWork });
  return answerMeasure(
    {
      path,
      modelName: model.name,
      inputs,
      ranges,
      wholeMs,
      emulatedSlowdown: options.emulate.slowdown,
    },
    benchmark,
    { log, clock, signal, beforeStep },
  );
}
