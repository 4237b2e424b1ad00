import assert from "node:assert/strict";
import type { Teardown } from "../core/index.js";
import type { Metrics } from "../metrics/index.js";
import type { ConfirmedRange, PlanDocument, Profile, Status } from "../protocol/index.js";
import type { Publisher } from "../publisher/index.js";
import { type Recorder, withProfile } from "../store/index.js";
import type { Telemetry } from "../telemetry/index.js";
import type { Bars } from "./bars.js";
import type { Benchmarks } from "./benchmarks.js";
import type { DaemonDeps } from "./deps.js";
import { controlled } from "./controlled.js";
import type { BusyHosts } from "./busy-hosts.js";
import type { Foundation } from "./foundation.js";
import type { HostTurns } from "./host-turns.js";
import type { Loads } from "./loads.js";
import { isUnchanged } from "./models.js";
import { type KnownDevices, matchPipelines, waitingPipelines } from "./pipelines.js";
import type { Pipeline } from "./problem.js";
import type { ProgressBoard } from "./progress-board.js";
import type { Confirmations } from "./confirmations.js";
import type { Reconciler } from "./reconcile.js";
import { providerProblems } from "./provider-problems.js";
import type { PlanRollouts } from "./rollout.js";
import type { Schedule } from "./schedule.js";
import type { Sidecars } from "./sidecars.js";
import { statusOf } from "./status.js";

const MS_PER_SECOND = 1_000;

/** Parts that refer to each other; absent only while the daemon starts. */
interface Parts {
  publisher?: Publisher;
  reconciler?: Reconciler;
  telemetry?: Telemetry;
  benchmarks?: Benchmarks;
  confirmations?: Confirmations;
  schedule?: Schedule;
  rollouts?: PlanRollouts;
  recorder?: Recorder;
}

/** The running daemon as its parts see it. */
export interface Running extends Foundation, DaemonDeps {
  metrics: Metrics;
  /** What runtimes could not take up. */
  bars: Bars;
  /** How busy nodes are, by plans and by their runtimes' reports. */
  loads: Loads;
  /** Which machines serve requests, by their runtimes' reports. */
  busy: BusyHosts;
  /** Turns at the machines to be measured. */
  turns: HostTurns;
  progress: ProgressBoard;
  sidecars: Sidecars;
  /** The try of the execution providers that is under way, and the end of them all. */
  probing: { latest: AbortController; readonly ended: AbortController };
  /** What partitions took that were measured on their nodes, in order of arrival. */
  confirmed: readonly ConfirmedRange[];
  parts: Parts;
  teardown: Teardown;
  /** Monotonic. */
  startedMs: number;
  /** Why the state could not be written the last time; undefined when it could. */
  storeProblem: string | undefined;
}

/** Something changed that the loops should look at soon. */
export function wake({ parts }: Running): void {
  parts.reconciler?.request();
  parts.benchmarks?.request();
}

/** Nothing is planned before the port is open. */
export function publisherOf({ parts }: Running): Publisher {
  assert(parts.publisher !== undefined, "the publisher starts first");
  return parts.publisher;
}

/** Brings every subscriber to what the store holds. */
export function offerPlans({ store, parts }: Running): void {
  const { epoch, pipelines } = store.state;
  parts.publisher?.offer({ epoch, plans: pipelines.flatMap(({ plan }) => plan ?? []) });
}

export function planOf({ store }: Running, pipeline: string): PlanDocument | null {
  return store.state.pipelines.find(({ name }) => name === pipeline)?.plan ?? null;
}

export function pipelinesOf(running: Running): Pipeline[] {
  const { config, models } = running.desired;
  return matchPipelines(config.pipelines, models, knownDevices(running)).map((pipeline) =>
    controlled(pipeline, running.store.state),
  );
}

/** Names of pipelines that wait for their model's file. */
export function waitingOf(running: Running): string[] {
  const { config, models } = running.desired;
  return waitingPipelines(config.pipelines, models, knownDevices(running));
}

function knownDevices({ context, store }: Running): KnownDevices {
  const plans = store.state.pipelines.flatMap(({ plan }) => plan ?? []);
  return { nodes: context.nodes(), plans };
}

/** Records the newest profile and wakes the loops; a disk that fails costs only the memory of it. */
export async function takeProfile(running: Running, profile: Profile): Promise<void> {
  running.context.recordProfile(profile);
  wake(running);
  await keep(
    running,
    running.store.update((state) => withProfile(state, profile)),
  );
}

/** For records that may be lost without harm: a failure is logged and shown, nothing else. */
export async function keep(running: Running, written: Promise<void>): Promise<void> {
  try {
    await written;
  } catch (error) {
    running.log.error({ err: error }, "state not written");
  }
}

/** What is not well, in plain words; the last good plans are served all the same. */
export function problemsOf(running: Running): string[] {
  const { parts, storeProblem } = running;
  const problems = [
    ...running.desired.modelProblems,
    ...running.desired.models
      .filter((model) => !isUnchanged(model))
      .map(
        ({ name, path }) => `model ${name}: ${path} is no longer what it was; reload to take it`,
      ),
    ...running.desired.models
      .filter((model) => running.sidecars.haveChanged(model))
      .map(
        ({ name, path }) =>
          `model ${name}: what lies beside ${path} has changed; reload to take it`,
      ),
    ...(parts.reconciler?.problems() ?? []),
    ...(parts.benchmarks?.problems() ?? []),
    ...providerProblems(running.context),
  ];
  if (parts.telemetry?.connected !== true) {
    problems.push(`not connected to the broker ${parts.telemetry?.broker ?? ""}`.trimEnd());
  }
  if (storeProblem !== undefined) problems.push(storeProblem);
  return problems;
}

export function currentStatus(running: Running): Status {
  const { desired, parts, clock } = running;
  return statusOf({
    version: running.versions.scissiond,
    site: desired.config.site,
    self: running.self,
    state: running.store.state,
    context: running.context,
    loads: running.loads,
    pipelines: pipelinesOf(running),
    problems: problemsOf(running),
    notices: [running.store.notice ?? [], parts.benchmarks?.notices() ?? []].flat(),
    mqtt: {
      connected: parts.telemetry?.connected ?? false,
      broker: parts.telemetry?.broker ?? "",
    },
    benchmark: {
      running: parts.benchmarks?.running() ?? null,
      nextRunAt: parts.schedule?.nextRunAtMs() ?? null,
      lastOutcome: parts.benchmarks?.lastOutcome() ?? null,
      progress: running.progress.all(),
      confirming: parts.confirmations?.running(),
    },
    subscribers: parts.publisher?.subscribers() ?? 0,
    rollouts: parts.publisher?.rollouts() ?? [],
    staleMs: desired.config.thresholds.staleSeconds * MS_PER_SECOND,
    time: { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs(), startedMs: running.startedMs },
  });
}
