import { withBenchmark } from "../store/index.js";
import type { Telemetry } from "../telemetry/index.js";
import { type BenchmarkJob, startBenchmarks } from "./benchmarks.js";
import { createMeasure } from "./measure.js";
import { keep, pipelinesOf, type Running, takeProfile } from "./running.js";
import { startSchedule } from "./schedule.js";

const RESYNC_MS = 1_000;
const RETRY_MS = 10_000;
const RETRY_MS_MAX = 3_600_000;
const MS_PER_HOUR = 3_600_000;

/** Starts benchmarking, on demand and on schedule. */
export function startMeasuring(running: Running, telemetry: Telemetry): void {
  const { parts, metrics, context, teardown, clock, store } = running;
  const log = running.log.child({ component: "benchmark" });
  const benchmarks = startBenchmarks(
    {
      maxProfileAgeMs: running.desired.config.schedule.maxProfileAgeHours * MS_PER_HOUR,
      retryMs: RETRY_MS,
      retryMsMax: RETRY_MS_MAX,
      resyncMs: RESYNC_MS,
    },
    {
      wanted: () => wantedBenchmarks(running),
      profileOf: ({ model, node }) => context.ownProfile(model.sha256, node),
      measure: createMeasure({
        self: () => running.self,
        config: () => running.desired.config,
        profileOf: ({ model, node }) => context.ownProfile(model.sha256, node),
        telemetry,
        onProfile: (profile) => takeProfile(running, profile),
        clock,
        log,
      }),
      onFinished: ({ model, node }, { elapsedMs, ok }) => {
        metrics.benchmarkFinished({ node, result: ok ? "ok" : "failed", durationMs: elapsedMs });
        const benchmark = { sha256: model.sha256, node, at: clock.nowMs() };
        void keep(
          running,
          store.update((state) => withBenchmark(state, benchmark)),
        );
      },
      clock,
      log,
    },
  );
  teardown.defer("benchmarks", () => benchmarks.stop());
  parts.benchmarks = benchmarks;
  parts.schedule = openSchedule(running);
  teardown.defer("schedule", () => parts.schedule?.stop());
}

/** The cron expression may have changed. */
export async function restartSchedule(running: Running): Promise<void> {
  await running.parts.schedule?.stop();
  running.parts.schedule = openSchedule(running);
}

function openSchedule(running: Running) {
  return startSchedule(running.desired.config.schedule, {
    due: () => running.parts.benchmarks?.refreshAll(),
    log: running.log.child({ component: "schedule" }),
  });
}

/** Every model of a pipeline with its source and with every edge and cloud node that is online. */
function wantedBenchmarks(running: Running): BenchmarkJob[] {
  const { desired, context } = running;
  const jobs = new Map<string, BenchmarkJob>();
  for (const pipeline of pipelinesOf(running)) {
    const model = desired.models.find(({ sha256 }) => sha256 === pipeline.model.sha256);
    if (model === undefined) continue;
    for (const { node, tier, status } of context.nodes()) {
      if (status !== "online" || (tier === "device" && node !== pipeline.source)) continue;
      jobs.set(`${model.sha256} ${node}`, { model, node });
    }
  }
  return [...jobs.values()];
}
