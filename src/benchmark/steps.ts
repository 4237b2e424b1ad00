import { createHash } from "node:crypto";
import { z } from "zod";
import { AppError, type Clock, type Logger } from "../core/index.js";
import { parseValue } from "../protocol/index.js";

const VERSION = 3;
/** Older measurements are of another day: the machine may have changed in ways nobody records. */
const AGE_MS_MAX = 24 * 3_600_000;
const STEPS_MAX = 20_100;

const checkpointSchema = z.strictObject({
  version: z.literal(VERSION),
  /** SHA-256 of everything that the results depend on. */
  subject: z.string().length(64),
  /** Unix milliseconds. */
  startedAt: z.number().int().nonnegative(),
  steps: z
    .array(z.strictObject({ name: z.string().min(1).max(100), result: z.unknown() }))
    .max(STEPS_MAX),
});
type SavedSteps = z.infer<typeof checkpointSchema>;

/** Where a benchmark keeps what it has measured so far, so that a killed one goes on from there. */
export interface Checkpoint {
  /** What was saved last: any value, for it is checked here; undefined or null for nothing. */
  load(): Promise<unknown>;
  /** Called after each step with a value that JSON can hold; with null when nothing is left to resume. */
  save(value: unknown): Promise<void>;
}

export interface StepsDeps {
  log: Logger;
  clock: Clock;
  /** Awaited before each step that is not in the checkpoint: a place to pause. Rejects to give up. */
  beforeStep?: ((signal: AbortSignal) => Promise<void>) | undefined;
  checkpoint?: Checkpoint | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
}

export interface Progress {
  /** Of `total`, in work that is expected to take equally long, so that the time left can be told. */
  done: number;
  total: number;
  what: string;
}

/** A part of a benchmark that is done as a whole or not at all. */
export interface Step<T> {
  /** Unique within one benchmark. */
  name: string;
  /** For people. */
  what: string;
  /** Share in the progress. */
  work: number;
  schema: z.ZodType<T>;
  run: () => Promise<T>;
}

export interface Steps {
  /** The result of the step, from the checkpoint where it holds it. */
  take<T>(step: Step<T>): Promise<T>;
  /** How many results came from the checkpoint. */
  readonly resumed: number;
  /** Tells the end and empties the checkpoint. */
  finish(): Promise<void>;
}

/**
 * Takes steps one after another, remembers them, and does not repeat what an earlier benchmark of
 * the same subject had done. A checkpoint that cannot be read or written costs the memory only.
 * @param subject what the results depend on; a checkpoint of another one is ignored
 */
export async function openSteps(
  subject: unknown,
  context: { totalWork: number; signal: AbortSignal; deps: StepsDeps },
): Promise<Steps> {
  const { totalWork, signal, deps } = context;
  const saved: SavedSteps = (await loadSteps(digestOf(subject), deps)) ?? {
    version: VERSION,
    subject: digestOf(subject),
    startedAt: deps.clock.nowMs(),
    steps: [],
  };
  if (saved.steps.length > 0) {
    deps.log.info({ steps: saved.steps.length }, "going on with a benchmark that was stopped");
  }
  let done = 0;
  let resumed = 0;
  const tell = (what: string): void => {
    deps.onProgress?.({ done: Math.min(done, totalWork), total: totalWork, what });
  };
  return {
    async take(step) {
      tell(step.what);
      const before = saved.steps.find(({ name }) => name === step.name);
      const known = before === undefined ? undefined : parseValue(before.result, step.schema);
      if (known?.ok === true) {
        resumed += 1;
        done += step.work;
        return known.value;
      }
      await deps.beforeStep?.(signal);
      if (signal.aborted) throw new AppError("ABORTED", `stopped before ${step.what}`);
      const result = await step.run();
      saved.steps = [...saved.steps.filter((one) => one !== before), { name: step.name, result }];
      await saveSteps(saved, deps);
      done += step.work;
      return result;
    },
    get resumed() {
      return resumed;
    },
    async finish() {
      done = totalWork;
      tell("done");
      await saveSteps(null, deps);
    },
  };
}

async function loadSteps(subject: string, deps: StepsDeps): Promise<SavedSteps | undefined> {
  try {
    const value = await deps.checkpoint?.load();
    if (value === undefined || value === null) return undefined;
    const parsed = parseValue(value, checkpointSchema);
    if (!parsed.ok || parsed.value.subject !== subject) return undefined;
    const ageMs = deps.clock.nowMs() - parsed.value.startedAt;
    return ageMs < 0 || ageMs > AGE_MS_MAX ? undefined : parsed.value;
  } catch (error) {
    deps.log.warn({ err: error }, "the checkpoint of a benchmark cannot be read");
    return undefined;
  }
}

async function saveSteps(value: SavedSteps | null, deps: StepsDeps): Promise<void> {
  try {
    await deps.checkpoint?.save(value);
  } catch (error) {
    deps.log.warn({ err: error }, "the checkpoint of a benchmark cannot be written");
  }
}

function digestOf(subject: unknown): string {
  return createHash("sha256").update(JSON.stringify(subject)).digest("hex");
}
