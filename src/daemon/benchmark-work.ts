import { join } from "node:path";
import type { Logger } from "../core/index.js";
import { openJsonFiles, withSchedule } from "../store/index.js";
import type { Telemetry } from "../telemetry/index.js";
import type { BenchmarkJob } from "./benchmark-job.js";
import { startBenchmarks } from "./benchmarks.js";
import { isCurrent } from "./current.js";
import { createMeasure } from "./measure.js";
import { type RefreshRun, startRefreshRun } from "./refresh-run.js";
import { keep, pipelinesOf, type Running, takeProfile } from "./running.js";
import { startSchedule } from "./schedule.js";
import { hostOf, softwareOf, wantedBenchmarks } from "./wanted.js";

const RESYNC_MS = 1_000;
const RETRY_MS = 10_000;
const RETRY_MS_MAX = 3_600_000;
const MS_PER_HOUR = 3_600_000;
const MS_PER_MINUTE = 60_000;
/** Every one of them downloads models from here. */
const HOSTS_MAX = 4;
const CHECKPOINTS_MAX = 16;
const CHECKPOINT_BYTES_MAX = 16 * 1_024 ** 2;

/** Starts benchmarking, on demand and on schedule. */
export async function startMeasuring(running: Running, telemetry: Telemetry): Promise<void> {
  const { parts, metrics, context, clock, desired, turns, teardown } = running;
  const log = running.log.child({ component: "benchmark" });
  const checkpoints = await openJsonFiles({
    directory: join(desired.config.stateDirectory, "checkpoints"),
    filesMax: CHECKPOINTS_MAX,
    bytesMax: CHECKPOINT_BYTES_MAX,
  });
  const own = ({ model, node }: BenchmarkJob) => context.ownProfile(model.sha256, node);
  const benchmarks = startBenchmarks(
    {
      maxProfileAgeMs: desired.config.schedule.maxProfileAgeHours * MS_PER_HOUR,
      retryMs: RETRY_MS,
      retryMsMax: RETRY_MS_MAX,
      resyncMs: RESYNC_MS,
      hostsMax: HOSTS_MAX,
    },
    {
      wanted: () =>
        wantedBenchmarks({
          models: running.desired.models,
          pipelines: pipelinesOf(running),
          context,
          isRunning: (sha256, node) => parts.benchmarks?.isRunning(sha256, node) ?? false,
        }),
      hasRun: ({ model, node }) => {
        const told = running.progress.of(node);
        return told?.model.sha256 === model.sha256 && told.done > 0;
      },
      isOnline: (node) => context.node(node)?.status === "online",
      profileOf: (job) => {
        const state = context.node(job.node);
        return state === undefined ? own(job) : context.profileFor(job.model.sha256, state);
      },
      staleIn: (job) => staleIn(running, job),
      isConfigured: (job) => isConfigured(running, job),
      softwareOf: ({ node }) => softwareOf(context.node(node) ?? {}),
      turns,
      refresh: openRefreshRun(running, log),
      measure: createMeasure({
        self: () => running.self,
        config: () => running.desired.config,
        profileOf: own,
        sidecarsOf: (model, signal) => running.sidecars.of(model, signal),
        liveWork: () => running.busy.liveWork(hostOf(running.self)),
        checkpoints,
        telemetry,
        onProfile: (profile) => takeProfile(running, profile),
        onProgress: (node, progress) => running.progress.set(node, progress),
        clock,
        log,
      }),
      onFinished: ({ node }, { elapsedMs, result }) =>
        metrics.benchmarkFinished({ node, result, durationMs: elapsedMs }),
      clock,
      log,
    },
  );
  teardown.defer("benchmarks", () => benchmarks.stop());
  publishOwn(running, telemetry);
  parts.benchmarks = benchmarks;
  parts.schedule = openSchedule(running);
  teardown.defer("schedule", () => parts.schedule?.stop());
}

/** What this node measured of its models before: the broker may be a new one. */
function publishOwn({ context, desired, self }: Running, telemetry: Telemetry): void {
  for (const { sha256 } of desired.models) {
    const profile = context.ownProfile(sha256, self.node);
    if (profile !== undefined) telemetry.publishProfile(profile);
  }
}

/** The cron expression may have changed. */
export async function restartSchedule(running: Running): Promise<void> {
  await running.parts.schedule?.stop();
  running.parts.schedule = openSchedule(running);
}

function openSchedule(running: Running) {
  return startSchedule(running.desired.config.schedule, {
    due: () => running.parts.benchmarks?.refreshAll("schedule"),
    expectedAtMs: running.store.state.schedule?.nextRunAt ?? null,
    save: (nextRunAt) => remember(running, { nextRunAt }),
    clock: running.clock,
    log: running.log.child({ component: "schedule" }),
  });
}

function openRefreshRun(running: Running, log: Logger): RefreshRun {
  return startRefreshRun(() => running.desired.config.schedule.wallTimeMinutes * MS_PER_MINUTE, {
    resumed: running.store.state.schedule?.refreshBeforeAt ?? null,
    began: (refreshBeforeAt) => remember(running, { refreshBeforeAt }),
    ended: (beganAtMs) => forgetRun(running, beganAtMs),
    clock: running.clock,
    log,
  });
}

function remember(running: Running, schedule: Parameters<typeof withSchedule>[1]): void {
  void keep(
    running,
    running.store.update((state) => withSchedule(state, schedule)),
  );
}

/** An operator's order for another run may be in the state already, before that run begins. */
function forgetRun(running: Running, beganAtMs: number): void {
  void keep(
    running,
    running.store.update((state) =>
      state.schedule?.refreshBeforeAt === beganAtMs
        ? withSchedule(state, { refreshBeforeAt: null })
        : state,
    ),
  );
}

function isConfigured({ desired }: Running, { model }: BenchmarkJob): boolean {
  return desired.models.some(({ sha256 }) => sha256 === model.sha256);
}

/** The node's environment as one text, where the profile that serves it is from another one. */
function staleIn({ context }: Running, { model, node }: BenchmarkJob): string | undefined {
  const state = context.node(node);
  if (state === undefined) return undefined;
  const profile = context.profileFor(model.sha256, state);
  if (profile === undefined || isCurrent(profile, state)) return undefined;
  return JSON.stringify([state.environment, state.emulatedSlowdown]);
}
