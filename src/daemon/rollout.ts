import type { Clock, Logger } from "../core/index.js";
import type { Decision, PlanDocument } from "../protocol/index.js";
import { describeFailure, type Publisher, type RolloutOutcome } from "../publisher/index.js";
import { type StoreState, withDecision, withLinks, withPipeline } from "../store/index.js";
import { type Bars, rolloutTrigger } from "./bars.js";
import type { Context } from "./context.js";

/** A plan that was decided for, and the record that says so once it is in force. */
export interface Proposal {
  plan: PlanDocument;
  decision: Decision;
  /** Whether to go back to the configuration before, should runtimes fail to switch. */
  mayReturn: boolean;
  /** Called when the plan has become the one in force. */
  onInForce: () => void;
  /** Called when nothing came of it. `isBarred`: the same will not be decided for at once again. */
  onAborted: (isBarred: boolean) => void;
}

export interface RolloutDeps {
  publisher: () => Publisher;
  store: {
    readonly state: StoreState;
    update(change: (state: StoreState) => StoreState): Promise<void>;
  };
  bars: Bars;
  context: Pick<Context, "rememberableLinks">;
  /** Called after the store holds the new state. */
  onPublished: (pipeline: string) => void;
  onDecision: (decision: Decision) => void;
  /** A rollout has ended: there may be something to plan anew. */
  onEnded: () => void;
  clock: Clock;
  log: Logger;
}

/** Brings decided plans into force, with runtimes step by step, without any at once. */
export interface PlanRollouts {
  isUnderWay(pipeline: string): boolean;
  /**
   * Resolves when the plan is in force; where runtimes take part, when they have been asked. Rejects
   * with STORE_WRITE_FAILED, and changes nothing, where the state cannot be written.
   */
  publish(proposal: Proposal): Promise<void>;
  /** The pipeline is to go: gives its rollout up, unless runtimes are switching already. */
  cancel(pipeline: string, reason: string): void;
}

export function createPlanRollouts(deps: RolloutDeps): PlanRollouts {
  const underWay = new Set<string>();

  /** Goes on until runtimes and daemon agree, which may need a way back. */
  async function followThrough(first: Begun): Promise<void> {
    const { pipeline, revision } = first.proposal.plan;
    try {
      let begun: Begun | undefined = first;
      while (begun !== undefined) {
        const { proposal } = begun;
        const outcome = await deps
          .publisher()
          .rollOut(proposal.plan, () => commitPlan(proposal, deps));
        const back: Proposal | undefined = await conclude(begun, outcome, deps);
        begun = back === undefined ? undefined : await begin(back, deps);
      }
    } catch (error) {
      deps.log.error({ pipeline, revision, err: error }, "end of a rollout not recorded");
    } finally {
      underWay.delete(pipeline);
      deps.onEnded();
    }
  }

  return {
    isUnderWay: (pipeline) => underWay.has(pipeline),
    async publish(proposal) {
      const { plan } = proposal;
      if (deps.publisher().participants(plan).length === 0) {
        await publishAtOnce(proposal, deps);
        return;
      }
      const begun = await begin(proposal, deps);
      underWay.add(plan.pipeline);
      void followThrough(begun);
    },
    cancel: (pipeline, reason) => deps.publisher().cancelRollout(pipeline, reason),
  };
}

/** Without runtimes there is nobody to wait for. */
async function publishAtOnce(proposal: Proposal, deps: RolloutDeps): Promise<void> {
  const failure: { error?: unknown } = {};
  await deps.publisher().rollOut(proposal.plan, () =>
    commitPlan(proposal, deps).catch((error: unknown) => {
      failure.error = error;
      throw error;
    }),
  );
  if ("error" in failure) throw failure.error;
}

/** Uses the number up before anybody sees it, whatever comes of it. */
async function begin(proposal: Proposal, deps: RolloutDeps): Promise<Begun> {
  const { pipeline: name, revision } = proposal.plan;
  const previous = planInForce(deps.store.state, name);
  await deps.store.update((state) => {
    const stored = state.pipelines.find((each) => each.name === name);
    return withPipeline(state, { ...stored, name, revision, plan: previous });
  });
  deps.log.info({ pipeline: name, revision }, "rollout begins");
  return { proposal, previous };
}

interface Begun {
  proposal: Proposal;
  /** What was in force then; null before the first plan. */
  previous: PlanDocument | null;
}

function planInForce(state: StoreState, pipeline: string): PlanDocument | null {
  return state.pipelines.find(({ name }) => name === pipeline)?.plan ?? null;
}

/** Makes the plan the one in force: on disk first, then for everybody. */
async function commitPlan(proposal: Proposal, deps: RolloutDeps): Promise<void> {
  const { plan, decision } = proposal;
  const { pipeline: name, revision } = plan;
  await deps.store.update((state) => {
    const last = planInForce(state, name)?.partitions.map(({ node, firstLayer, lastLayer }) => ({
      node,
      firstLayer,
      lastLayer,
    }));
    const previous = last === undefined ? {} : { previous: last };
    const planned = withPipeline(state, { name, revision, plan, ...previous });
    return withLinks(withDecision(planned, decision), deps.context.rememberableLinks());
  });
  deps.onPublished(name);
  // Subscribers are told in the next microtask, mostly: before the log, which may wait.
  await Promise.resolve();
  deps.onDecision(decision);
  proposal.onInForce();
}

/** Records how a rollout ended. Returns the way back, where there is one and it is needed. */
async function conclude(
  begun: Begun,
  outcome: RolloutOutcome,
  deps: RolloutDeps,
): Promise<Proposal | undefined> {
  const { proposal, previous } = begun;
  const { plan, decision } = proposal;
  const { pipeline, revision } = plan;
  if (outcome.kind === "active") {
    deps.log.info({ pipeline, revision }, "plan in force at every runtime");
    return undefined;
  }
  for (const failure of outcome.failures) deps.bars.add(plan, failure, deps.clock.monotonicMs());
  if (outcome.kind === "aborted") {
    const bars = deps.bars.of(plan.model.sha256, previous, deps.clock.monotonicMs());
    proposal.onAborted(bars.some((bar) => bar.pipeline === pipeline && bar.revision === revision));
    const stays = previous === null ? "no plan is in force" : `revision ${previous.revision} stays`;
    const summary = `revision ${revision} was given up: ${outcome.reason}; ${stays}`;
    const inForce = previous?.revision ?? null;
    await record({ ...decision, verdict: "aborted", revision: inForce, summary }, deps);
    return undefined;
  }
  // Without failures the daemon is stopping; with another plan in force, somebody was quicker.
  const isInForce = planInForce(deps.store.state, pipeline)?.revision === revision;
  if (outcome.failures.length === 0 || !isInForce) return undefined;
  const why = outcome.failures.map(describeFailure).join("; ");
  const summary = `revision ${revision} did not come into force everywhere: ${why}`;
  await record({ ...decision, verdict: "incomplete", summary }, deps);
  if (previous === null || !proposal.mayReturn) return undefined;
  return wayBack({ proposal, previous }, why, deps.clock.nowMs());
}

async function record(decision: Decision, deps: RolloutDeps): Promise<void> {
  const recorded = { ...decision, at: deps.clock.nowMs() };
  await deps.store.update((state) => withDecision(state, recorded));
  deps.onDecision(recorded);
}

/** The configuration before, under a new revision, since revisions never go back. */
function wayBack(
  { proposal, previous }: { proposal: Proposal; previous: PlanDocument },
  why: string,
  nowMs: number,
): Proposal {
  const revision = proposal.plan.revision + 1;
  const reason = `${why}: back to the configuration of revision ${previous.revision}, as revision ${revision}`;
  return {
    plan: { ...previous, revision, publishedAt: nowMs, reason },
    decision: {
      ...proposal.decision,
      at: nowMs,
      triggers: [rolloutTrigger(why)],
      verdict: "published",
      revision,
      summary: reason,
    },
    mayReturn: false,
    onInForce: () => undefined,
    onAborted: () => undefined,
  };
}
