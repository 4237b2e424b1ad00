import { createDrafter } from "./drafts.js";
import { situationOf } from "./problem.js";
import { startReconciler } from "./reconcile.js";
import { offerPlans, pipelinesOf, planOf, type Running } from "./running.js";

const RESYNC_MS = 1_000;
const RESTART_GRACE_MS = 15_000;
const PUBLISH_RETRY_MS = 5_000;
const PASS_TIMEOUT_MS = 1_800_000;

/** Starts the one loop that plans and publishes. */
export function startPlanning(running: Running): void {
  const { parts, context, store, artifacts, clock } = running;
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
      store,
      draft: createDrafter({
        artifacts,
        modelOf: (sha256) => running.desired.models.find((model) => model.sha256 === sha256),
        problemOf: (pipeline) => {
          const situation = situationOf(pipeline, context);
          return "missing" in situation ? undefined : situation.problem;
        },
      }),
      onPublished: (pipeline) => {
        const plan = planOf(running, pipeline);
        offerPlans(running);
        parts.telemetry?.publishPlan(pipeline, plan);
        if (plan === null) running.metrics.pipelineRemoved(pipeline);
        else running.metrics.planPublished(plan);
      },
      onDecision: (decision) => {
        const { pipeline, verdict, revision, summary } = decision;
        running.metrics.decision({ pipeline, verdict });
        running.log.info({ pipeline, verdict, revision, summary }, "decision");
      },
      clock,
      log: running.log.child({ component: "reconcile" }),
    },
  );
  running.teardown.defer("reconciler", () => reconciler.stop());
  parts.reconciler = reconciler;
}
