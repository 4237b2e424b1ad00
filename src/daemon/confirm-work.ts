import { answerMeasure, confirmingPaceOf, createPace } from "../benchmark/index.js";
import { AppError } from "../core/index.js";
import type { PlannedPartition } from "../planner/index.js";
import {
  CONFIRMED_AT_ONCE_MAX,
  type ConfirmedRange,
  type MeasureAnswer,
  measureAnswerSchema,
  type Profile,
  parseValue,
  type RangeMeasurement,
} from "../protocol/index.js";
import { withConfirmedRanges } from "../store/index.js";
import { LEASE_MS } from "../telemetry/index.js";
import { Confirmations, type ConfirmJob } from "./confirmations.js";
import { fullAtOf, withNewer } from "./confirmed.js";
import type { Confirming } from "./judge-deps.js";
import { asTold, withCutsOf } from "./model-as-told.js";
import { isUnchanged, type ModelFile } from "./models.js";
import { keep, type Running, wake } from "./running.js";
import { tellLiveWork } from "./take-busy.js";
import { hostOf } from "./wanted.js";

/** Beyond the measurement itself, for the way there and back. */
const ANSWER_ALLOWANCE_MS = 2_000;

/** Starts what measures the partitions of plans before they are published. */
export function startConfirming(running: Running): void {
  const confirmations = new Confirmations({
    measure: (job, signal) => measure(running, job, signal),
    onChanged: () => wake(running),
    timeoutMs: () => running.desired.config.confirm.timeoutMs,
    clock: running.clock,
    log: running.log.child({ component: "confirm" }),
  });
  running.teardown.defer("confirmations", () => confirmations.stop());
  running.parts.confirmations = confirmations;
}

/** What the loop that plans needs of it. */
export function confirmingOf(running: Running): Confirming {
  return {
    options: () => running.desired.config.confirm,
    ranges: () => running.confirmed,
    standing: (modelSha256, node) =>
      running.parts.confirmations?.standing(modelSha256, node) ?? { kind: "open" },
    want: (pipeline, partitions) => {
      const model = running.desired.models.find(({ sha256 }) => sha256 === pipeline.model.sha256);
      const jobs = model === undefined ? [] : jobsOf(model, partitions);
      running.parts.confirmations?.want(pipeline.name, jobs);
    },
  };
}

/** One job for each node. */
function jobsOf(model: ModelFile, partitions: readonly PlannedPartition[]): ConfirmJob[] {
  const nodes = new Set(partitions.map(({ node }) => node));
  return [...nodes].map((node) => ({
    model,
    node,
    ranges: partitions
      .filter((partition) => partition.node === node)
      .slice(0, CONFIRMED_AT_ONCE_MAX)
      .map(({ firstLayer, lastLayer }) => ({ firstLayer, lastLayer })),
  }));
}

/**
 * In the turn of the node's machine, so that nothing else that is measured there disturbs it. What comes
 * of it is remembered beside the profile that was in use when it began: for its speed it was told.
 */
async function measure(
  running: Running,
  job: ConfirmJob,
  signal: AbortSignal,
): Promise<MeasureAnswer> {
  const state = running.context.node(job.node);
  if (state?.status !== "online") throw new AppError("COMMAND_FAILED", `${job.node} is offline`);
  const { timeoutMs } = running.desired.config.confirm;
  const patience = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs / 2)]);
  const begun = { isBegun: false };
  const work = async (): Promise<MeasureAnswer> => {
    begun.isBegun = true;
    const profile = running.context.profileFor(job.model.sha256, state);
    const ask = { job, wholeMs: profile?.wholeMs || undefined, signal };
    const isHere = job.node === running.self.node;
    const answer = await (isHere ? measureHere(running, ask) : measureThere(running, ask));
    if (answer.kind === "measured" && profile !== undefined) {
      await take(running, job, { measurement: answer, profile });
    }
    return answer;
  };
  try {
    return await running.turns.run(hostOf(state), work, patience);
  } catch (cause) {
    if (begun.isBegun || signal.aborted) throw cause;
    throw new AppError("COMMAND_FAILED", `the machine of ${job.node} is busy`, { cause });
  }
}

interface Ask {
  job: ConfirmJob;
  /** By the profile in use. */
  wholeMs: number | undefined;
  signal: AbortSignal;
}

async function measureHere(
  running: Running,
  { job: { model, ranges }, wholeMs, signal }: Ask,
): Promise<MeasureAnswer> {
  const { clock, log, busy, self } = running;
  const { benchmark, confirm, emulate } = running.desired.config;
  const { path, name, inputs } = model;
  const options = { ...withCutsOf(model, benchmark), timeoutMs: confirm.timeoutMs };
  const liveWork = () => busy.liveWork(hostOf(self));
  const beforeStep = createPace(confirmingPaceOf(options), { clock, liveWork });
  const answer = await answerMeasure(
    {
      ...{ path, modelName: name, inputs, ranges, wholeMs },
      emulatedSlowdown: emulate.slowdown,
    },
    options,
    { log, clock, signal, beforeStep },
  );
  // Times of another file must not be remembered as this model's.
  if (!isUnchanged(model)) {
    throw new AppError("MODEL_CHANGED", `${path} is no longer what it was`);
  }
  return answer;
}

async function measureThere(
  running: Running,
  { job: { model, node, ranges }, wholeMs, signal }: Ask,
): Promise<MeasureAnswer> {
  const { benchmark, confirm } = running.desired.config;
  const { timeoutMs } = confirm;
  const sidecarsOf = running.sidecars.of.bind(running.sidecars);
  const told = await asTold(model, { benchmark, sidecarsOf, signal });
  tellLiveWork(running, node);
  const data = await running.parts.telemetry?.command(
    node,
    "measure",
    { ...told, ranges, timeoutMs, ...(wholeMs === undefined ? {} : { wholeMs }) },
    { timeoutMs: timeoutMs + ANSWER_ALLOWANCE_MS, leaseMs: LEASE_MS, signal },
  );
  return checked({ node, ranges }, data);
}

/** The answer, if it is one to what was asked. */
function checked({ node, ranges }: Omit<ConfirmJob, "model">, data: unknown): MeasureAnswer {
  const answer = parseValue(data, measureAnswerSchema);
  const nonsense = (why: string): MeasureAnswer => {
    return { kind: "failed", reason: `the answer of ${node} makes no sense: ${why}` };
  };
  if (!answer.ok) return nonsense(answer.message);
  if (answer.value.kind === "busy" || answer.value.kind === "failed") return answer.value;
  const measured = answer.value.ranges;
  const isComplete =
    measured.length === ranges.length &&
    ranges.every(
      ({ firstLayer, lastLayer }, index) =>
        measured[index]?.firstLayer === firstLayer && measured[index].lastLayer === lastLayer,
    );
  return isComplete ? answer.value : nonsense("other layers were measured than asked for");
}

/** Keeps what was measured; a disk that fails costs only the memory of it. */
async function take(
  running: Running,
  { model, node }: ConfirmJob,
  { measurement, profile }: { measurement: RangeMeasurement; profile: Profile },
): Promise<void> {
  const { externalSha256, environment } = measurement;
  const confirmed = measurement.ranges.map(
    (range): ConfirmedRange => ({
      ...range,
      modelSha256: model.sha256,
      ...(externalSha256 === undefined ? {} : { externalSha256 }),
      node,
      hardwareClass: profile.node.hardwareClass,
      // By our own clock: that of the node may be wrong by years.
      measuredAt: running.clock.nowMs(),
      environment,
      profile: { wholeMs: profile.wholeMs, fullAt: fullAtOf(profile) },
    }),
  );
  const { rangesMax } = running.desired.config.confirm;
  running.confirmed = withNewer(running.confirmed, confirmed, rangesMax);
  const all = running.confirmed;
  await keep(
    running,
    running.store.update((before) => withConfirmedRanges(before, all)),
  );
}
