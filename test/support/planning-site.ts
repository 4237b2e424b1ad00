import { silentLogger } from "../../src/core/index.js";
import { Bars } from "../../src/daemon/bars.js";
import { Context } from "../../src/daemon/context.js";
import { Loads } from "../../src/daemon/loads.js";
import type { Pipeline } from "../../src/daemon/problem.js";
import { type Reconciler, startReconciler } from "../../src/daemon/reconcile.js";
import { driftOptionsSchema } from "../../src/drift/index.js";
import { constraintsSchema } from "../../src/planner/index.js";
import type { Decision, Tier } from "../../src/protocol/index.js";
import { emptyState, type StoreState, withDecision, withPipeline } from "../../src/store/index.js";
import { ManualClock } from "./manual-clock.js";
import { aProfile } from "./profiles.js";

const HALF_LIFE_MS = 10_000;
/** Far more than any pass takes. */
const TURNS_MAX = 10_000;

/** Nodes, links and pipelines whose plans come into force at once, in seconds of a manual clock. */
export interface PlanningSite {
  readonly context: Context;
  readonly loads: Loads;
  readonly clock: ManualClock;
  readonly decisions: readonly Decision[];
  /** Nodes by name; the model's one block takes so long there. */
  node(name: string, tier: Tier, computeMs: number): void;
  /** Both directions, from now on measured every second. */
  link(one: string, other: string, quality: { rttMs: number; bandwidthMbps: number }): void;
  /** The node of each pipeline's last partition, in order of the pipelines. */
  places(): string[];
  /** One pass of the reconciler a second. */
  pass(seconds: number): Promise<void>;
  stop(): Promise<void>;
}

/** A pipeline of one block, of which nothing need run on the device. */
export function aPipeline(source: string, change: Partial<Pipeline> = {}): Pipeline {
  return {
    name: `vision-${source}`,
    model: aProfile().model,
    source,
    constraints: constraintsSchema.parse({}),
    costModel: { rttFactor: 0.5, returnResult: false },
    thresholds: driftOptionsSchema.parse({}),
    requestsPerSecond: 1,
    ...change,
  };
}

export function startPlanningSite(pipelines: readonly Pipeline[]): PlanningSite {
  const [context, loads, clock] = [new Context(), new Loads(), new ManualClock()];
  const links = new Map<string, () => void>();
  let state: StoreState = emptyState("epoch");
  const update = (change: (state: StoreState) => StoreState): Promise<void> => {
    state = change(state);
    return Promise.resolve();
  };
  const store = {
    get state() {
      return state;
    },
    update,
  };
  const reconciler: Reconciler = startReconciler(
    { resyncMs: 1_000, restartGraceMs: 0, retryMs: 1_000, passTimeoutMs: 60_000 },
    {
      context,
      loads,
      store,
      clock,
      log: silentLogger,
      bars: new Bars(),
      confirm: {
        options: () => ({ enabled: false, roundsMax: 1, timeoutMs: 1, maxAgeHours: 1 }),
        ranges: () => [],
        want: () => undefined,
        standing: () => ({ kind: "open" }),
      },
      publications: { all: [] },
      pipelines: () => pipelines,
      waiting: () => [],
      draft: (pipeline, plan) =>
        Promise.resolve({
          pipeline: pipeline.name,
          model: pipeline.model,
          source: plan.source,
          predictedLatencyMs: plan.latencyMs,
          transferBytes: plan.transferBytes,
          partitions: plan.partitions.map(({ node, tier, firstLayer, lastLayer, computeMs }) => ({
            ...{ node, tier, firstLayer, lastLayer, computeMs },
            inputs: [],
            outputs: [],
            artifact: { sha256: "a".repeat(64), bytes: 1, path: "/" },
          })),
          hops: [...plan.hops],
          fallback: null,
        }),
      rollouts: {
        isUnderWay: () => false,
        cancel: () => undefined,
        async publish({ plan, decision, onInForce }) {
          const { pipeline: name, revision } = plan;
          await update((old) =>
            withDecision(withPipeline(old, { name, revision, plan }), decision),
          );
          onInForce();
        },
      },
      onPublished: () => undefined,
      onDecision: () => undefined,
    },
  );
  // A pass waits for nothing but its turn, and there are thousands of them.
  const idle = async (): Promise<void> => {
    for (let turn = 0; clock.sleeping !== 1; turn += 1) {
      if (turn > TURNS_MAX) throw new Error(`a pass did not end in ${TURNS_MAX} turns`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return {
    context,
    loads,
    clock,
    get decisions() {
      return state.decisions;
    },
    node(name, tier, computeMs) {
      context.recordNode({
        node: name,
        tier,
        status: "online",
        bootId: name,
        hardwareClass: name,
        version: "test",
        logicalCores: 1,
        memoryBytes: 1,
        emulatedSlowdown: 1,
        models: [],
      });
      const [block] = aProfile().blocks;
      context.recordProfile(
        aProfile({
          node: { tier, name, hardwareClass: name },
          wholeMs: computeMs,
          blocks: [{ ...block!, medianMs: computeMs }],
        }),
      );
    },
    link(one, other, quality) {
      links.set(`${one} ${other}`, () => {
        for (const [from, to] of [
          [one, other],
          [other, one],
        ] as const) {
          context.recordLink({ from, to }, quality, {
            nowMs: clock.monotonicMs(),
            halfLifeMs: HALF_LIFE_MS,
          });
        }
      });
    },
    places: () =>
      pipelines.map(({ name }) => {
        const plan = state.pipelines.find((stored) => stored.name === name)?.plan;
        return plan?.partitions.at(-1)?.node ?? "none";
      }),
    async pass(seconds) {
      for (let second = 0; second < seconds; second += 1) {
        await idle();
        for (const measure of links.values()) measure();
        clock.advance(1_000);
        await idle();
      }
    },
    stop: () => reconciler.stop(),
  };
}
