import type { NodeState, Status } from "../protocol/index.js";
import type { RolloutInfo } from "../publisher/index.js";
import type { StoreState } from "../store/index.js";
import type { Context } from "./context.js";
import type { Loads } from "./loads.js";
import type { Pipeline } from "./problem.js";

const MS_PER_SECOND = 1_000;

export interface StatusInputs {
  version: string;
  site: string;
  self: NodeState;
  state: StoreState;
  context: Context;
  loads: Loads;
  pipelines: readonly Pipeline[];
  problems: readonly string[];
  /** Worth telling, but no reason not to be ready. */
  notices: readonly string[];
  mqtt: Status["mqtt"];
  benchmark: Status["benchmark"];
  subscribers: number;
  rollouts: readonly RolloutInfo[];
  staleMs: number;
  /** Wall clock of now; monotonic clock of now and of the start. */
  time: { nowMs: number; monotonicMs: number; startedMs: number };
}

/** The document of `GET /api/v1/status`. */
export function statusOf(inputs: StatusInputs): Status {
  const { version, site, self, state, problems, mqtt, benchmark, subscribers, time } = inputs;
  return {
    version,
    site,
    node: self.node,
    epoch: state.epoch,
    at: time.nowMs,
    uptimeSeconds: Math.round((time.monotonicMs - time.startedMs) / MS_PER_SECOND),
    ready: problems.length === 0,
    problems: [...problems, ...inputs.notices],
    mqtt,
    nodes: nodesOf(inputs),
    links: linksOf(inputs),
    profiles: inputs.context.profiles().map((profile) => ({
      model: profile.model,
      node: profile.node.name,
      measuredAt: profile.measuredAt,
      wholeMs: profile.wholeMs,
      blocks: profile.blocks.length,
    })),
    benchmark,
    pipelines: pipelinesOf(inputs),
    subscribers,
  };
}

function nodesOf({ context, loads, time }: StatusInputs): Status["nodes"] {
  return context.nodes().map((node) => ({
    name: node.node,
    tier: node.tier,
    hardwareClass: node.hardwareClass,
    online: node.status === "online",
    emulatedSlowdown: node.emulatedSlowdown,
    loadFactor: loads.factorOf(node.node, time.monotonicMs),
  }));
}

function linksOf({ context, staleMs, time }: StatusInputs): Status["links"] {
  return context.links().map((link) => {
    const ageMs = time.monotonicMs - (link.seenAtMs ?? time.startedMs);
    return {
      from: link.from,
      to: link.to,
      rttMs: link.rttMs,
      bandwidthMbps:
        link.secondsPerMegabit === null || link.isDown ? null : 1 / link.secondsPerMegabit,
      jitterMs: link.jitterMs,
      lossPercent: link.lossPercent,
      ageSeconds: Math.max(0, ageMs / MS_PER_SECOND),
      stale: link.seenAtMs === null || ageMs > staleMs,
    };
  });
}

function pipelinesOf({ pipelines, state, rollouts }: StatusInputs): Status["pipelines"] {
  return pipelines.map((pipeline) => ({
    name: pipeline.name,
    model: pipeline.model.name,
    source: pipeline.source,
    plan: state.pipelines.find(({ name }) => name === pipeline.name)?.plan ?? null,
    lastDecision:
      state.decisions.findLast((decision) => decision.pipeline === pipeline.name) ?? null,
    ...rolloutOf(pipeline.name, rollouts),
  }));
}

function rolloutOf(
  pipeline: string,
  rollouts: readonly RolloutInfo[],
): Pick<Status["pipelines"][number], "rollout"> {
  const found = rollouts.find((rollout) => rollout.pipeline === pipeline);
  if (found === undefined) return {};
  const { revision, phase, waitingFor } = found;
  return { rollout: { revision, phase, waitingFor: [...waitingFor] } };
}
