import type { Decision } from "../protocol/index.js";
import { confirmingOf } from "./confirm-work.js";
import { createDrafter } from "./drafts.js";
import { startReconciler } from "./reconcile.js";
import { createPlanRollouts } from "./rollout.js";
import {
  offerPlans,
  pipelinesOf,
  planOf,
  publisherOf,
  type Running,
  waitingOf,
  wake,
} from "./running.js";

const RESYNC_MS = 1_000;
const RESTART_GRACE_MS = 15_000;
const PUBLISH_RETRY_MS = 5_000;
const PASS_TIMEOUT_MS = 1_800_000;

/** Bounds the sub-models on disk; what a plan in force names stays. */
async function pruneArtifacts({ store, artifacts, log }: Running): Promise<void> {
  const partitions = store.state.pipelines.flatMap(({ plan }) =>
    plan === null ? [] : [...plan.partitions, plan.fallback],
  );
  const inUse = new Set(partitions.flatMap((partition) => partition?.artifact.sha256 ?? []));
  try {
    await artifacts.prune(inUse);
  } catch (error) {
    log.warn({ err: error }, "old sub-models not removed");
  }
}

/** Starts the one loop that plans and publishes. */
export function startPlanning(running: Running): void {
  const { parts, context, store, artifacts, bars, loads, clock } = running;
  const log = running.log.child({ component: "reconcile" });
  const onPublished = (pipeline: string): void => {
    const plan = planOf(running, pipeline);
    offerPlans(running);
    // After the subscribers, who are told as soon as the present caller is done.
    queueMicrotask(() => {
      parts.telemetry?.publishPlan(pipeline, plan);
      if (plan === null) running.metrics.pipelineRemoved(pipeline);
      else running.metrics.planPublished(plan);
      void pruneArtifacts(running);
    });
  };
  const onDecision = (decision: Decision): void => {
    const { pipeline, verdict, revision, summary } = decision;
    running.metrics.decision({ pipeline, verdict });
    parts.recorder?.write({ kind: "decision", ...decision });
    running.log.info({ pipeline, verdict, revision, summary }, "decision");
  };
  const rollouts = createPlanRollouts({
    publisher: () => publisherOf(running),
    store,
    bars,
    context,
    onPublished,
    onDecision,
    onEnded: () => wake(running),
    clock,
    log,
  });
  parts.rollouts = rollouts;
  const confirm = confirmingOf(running);
  const reconciler = startReconciler(
    {
      resyncMs: RESYNC_MS,
      restartGraceMs: RESTART_GRACE_MS,
      retryMs: PUBLISH_RETRY_MS,
      passTimeoutMs: PASS_TIMEOUT_MS,
    },
    {
      context,
      pipelines: () => pipelinesOf(running),
      waiting: () => waitingOf(running),
      store,
      draft: createDrafter({
        artifacts,
        modelOf: (sha256) => running.desired.models.find((model) => model.sha256 === sha256),
      }),
      rollouts,
      bars,
      loads,
      confirm,
      publications: { all: [] },
      onPublished,
      onDecision,
      clock,
      log,
    },
  );
  running.teardown.defer("reconciler", () => reconciler.stop());
  parts.reconciler = reconciler;
}
