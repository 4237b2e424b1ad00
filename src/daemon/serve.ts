import { type Publisher, type Rejection, startPublisher } from "../publisher/index.js";
import { control } from "./control.js";
import { refreshGauges } from "./gauges.js";
import { isUnchanged } from "./models.js";
import { takeReport } from "./reports.js";
import { currentStatus, offerPlans, planOf, problemsOf, type Running, wake } from "./running.js";

/** Opens the HTTP port and offers the plans of the last run, before any benchmark. */
export async function servePlans(running: Running): Promise<Publisher> {
  const { desired, parts, store, artifacts, teardown } = running;
  const publisher = await startPublisher(desired.config.listen, {
    log: running.log.child({ component: "publisher" }),
    clock: running.clock,
    random: running.random,
    metrics: {
      contentType: running.metrics.contentType,
      render: () => {
        refreshGauges(running);
        return running.metrics.render();
      },
    },
    api: {
      control: (pipeline, order) => control(running, pipeline, order),
      status: () => currentStatus(running),
      problems: () => problemsOf(running),
      decisions: () => store.state.decisions.toReversed(),
      artifactPath: (request) => {
        if (request.kind === "model") {
          const model = running.desired.models.find(({ sha256 }) => sha256 === request.modelSha256);
          return model !== undefined && isUnchanged(model) ? model.path : undefined;
        }
        if (request.kind === "sidecar") {
          return running.sidecars.path(request.modelSha256, request.sidecarSha256);
        }
        const { modelSha256, partitionSha256 } = request;
        if (!artifacts.has(modelSha256, partitionSha256)) return undefined;
        return artifacts.path(partitionSha256);
      },
    },
    onReject: (rejection) => takeRejection(running, rejection),
    onReport: (node, report) => takeReport(running, node, report),
    onRuntime: (node) => {
      running.bars.runtimeSubscribed(node);
      wake(running);
    },
    onEvent: (event) => running.metrics.publisherEvent(event),
  });
  teardown.defer("publisher", () => publisher.stop());
  parts.publisher = publisher;
  offerPlans(running);
  return publisher;
}

/** A runtime refused a plan that is in force already; what is being rolled out looks after itself. */
function takeRejection(running: Running, { node, revisions, reason }: Rejection): void {
  running.log.warn({ node, revisions: Object.fromEntries(revisions), reason }, "plan refused");
  for (const [pipeline, revision] of revisions) {
    const plan = planOf(running, pipeline);
    if (node === undefined || plan?.revision !== revision) continue;
    if (running.parts.rollouts?.isUnderWay(pipeline) === true) continue;
    const failure = { node, cause: "rejected", reason } as const;
    running.bars.add(plan, failure, running.clock.monotonicMs());
  }
  wake(running);
}
