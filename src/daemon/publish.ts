import { afterPublication, startPolicy, withPublication } from "../drift/index.js";
import { decisionOf, nextRevisionOf } from "./decision.js";
import type { Case, JudgeDeps } from "./judge-deps.js";
import type { Ruled } from "./ruling.js";
import type { Track } from "./track.js";

const ABORT_PAUSE_MS = 5_000;
const ABORT_PAUSE_MS_MAX = 300_000;

/** Has the best plan brought into force; the decision is recorded when it is. */
export async function publish(
  now: Case,
  { track, ruled, deps }: { track: Track; ruled: Ruled; deps: JudgeDeps },
): Promise<void> {
  const { prospects } = ruled;
  if (prospects.best === null) return;
  const best = prospects.pricedNow(prospects.best.plan);
  const draft = await deps.draft(now.pipeline, best, now.situation);
  const revision = nextRevisionOf(now.pipeline, deps);
  const decision = { ...decisionOf(now, ruled, deps), revision };
  track.isAborted = false;
  // Pipelines that are judged after this one find the nodes as busy as it will make them.
  deps.loads.assign(now.pipeline, { revision, partitions: best.partitions }, now.situation.idle);
  await deps.rollouts.publish({
    plan: {
      ...draft,
      epoch: deps.store.state.epoch,
      revision,
      publishedAt: deps.clock.nowMs(),
      reason: decision.summary,
    },
    decision,
    mayReturn: true,
    onInForce() {
      const nowMs = deps.clock.monotonicMs();
      track.policy = afterPublication(track.policy ?? startPolicy(nowMs), nowMs);
      deps.publications.all = withPublication(deps.publications.all, nowMs);
      track.abortedCount = 0;
    },
    onAborted(isBarred) {
      track.isAborted = true;
      if (isBarred) {
        // Should it be gone before anybody looks, that is told as the reason of what follows.
        const nowMs = deps.clock.monotonicMs();
        track.barsSince = deps.bars.of(now.pipeline.model.sha256, now.inForce, nowMs);
        return;
      }
      track.abortedCount += 1;
      const pauseMs = ABORT_PAUSE_MS * 2 ** (track.abortedCount - 1);
      track.retryAtMs = deps.clock.monotonicMs() + Math.min(pauseMs, ABORT_PAUSE_MS_MAX);
    },
  });
}
