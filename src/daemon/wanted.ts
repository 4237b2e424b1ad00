import type { NodeState } from "../protocol/index.js";
import type { BenchmarkJob } from "./benchmark-job.js";
import type { Context } from "./context.js";
import type { ModelFile } from "./models.js";
import type { Pipeline } from "./problem.js";

export interface WantedInputs {
  models: readonly ModelFile[];
  pipelines: readonly Pick<Pipeline, "model" | "source">[];
  context: Context;
  isRunning: (modelSha256: string, node: string) => boolean;
}

/**
 * Every model of a pipeline with its source and every edge and cloud node that is online; of nodes of one
 * hardware class with one of them, whose profile then serves the others. Another one takes over when it
 * has gone and the profile is due.
 */
export function wantedBenchmarks(inputs: WantedInputs): BenchmarkJob[] {
  const { models, pipelines, context } = inputs;
  return models.flatMap((model) => {
    const sources = new Set(
      pipelines.filter((one) => one.model.sha256 === model.sha256).map(({ source }) => source),
    );
    if (sources.size === 0) return [];
    const classes = new Map<string, NodeState[]>();
    for (const state of context.nodes()) {
      if (state.status !== "online" || (state.tier === "device" && !sources.has(state.node))) {
        continue;
      }
      const key = classKey(state);
      classes.set(key, [...(classes.get(key) ?? []), state]);
    }
    return [...classes.values()].flatMap((nodes) => {
      const node = representative(nodes, model, inputs);
      return node === undefined ? [] : [{ model, node: node.node, host: hostOf(node) }];
    });
  });
}

/** The machine of a node: nodes that do not tell have one of their own. */
export function hostOf({ node, hostId }: Pick<NodeState, "node" | "hostId">): string {
  return hostId ?? `node ${node}`;
}

/** The one that is being measured, else the one measured last, else the first by name. */
function representative(
  nodes: readonly NodeState[],
  model: ModelFile,
  { context, isRunning }: WantedInputs,
): NodeState | undefined {
  const measuredAt = ({ node }: NodeState): number =>
    isRunning(model.sha256, node)
      ? Number.POSITIVE_INFINITY
      : (context.ownProfile(model.sha256, node)?.measuredAt ?? -1);
  const [first] = [...nodes].sort((a, b) => {
    const [one, other] = [measuredAt(a), measuredAt(b)];
    if (one !== other) return other > one ? 1 : -1;
    return a.node < b.node ? -1 : 1;
  });
  return first;
}

/** What a node computes with, as one text, whatever processor it has. */
export function softwareOf({ environment }: Pick<NodeState, "environment">): string {
  return JSON.stringify(environment === undefined ? null : { ...environment, cpuModel: "" });
}

function classKey(state: NodeState): string {
  const { hardwareClass, emulatedSlowdown } = state;
  return JSON.stringify([hardwareClass, emulatedSlowdown, softwareOf(state)]);
}
