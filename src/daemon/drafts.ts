import { AppError } from "../core/index.js";
import {
  type PlannedPartition,
  type PlanningProblem,
  pricePlan,
  type RankedPlan,
} from "../planner/index.js";
import type { Partition } from "../protocol/index.js";
import type { Artifacts } from "./artifacts.js";
import type { ModelFile } from "./models.js";
import type { JudgeDeps } from "./judge-deps.js";

/** Where the publisher serves a partition of a model. */
export function partitionPath(modelSha256: string, partitionSha256: string): string {
  return `/api/v1/models/${modelSha256}/partitions/${partitionSha256}.onnx`;
}

/** Makes plan documents: the partitions of a ranked plan with their sub-models, and the fallback. */
export function createDrafter(deps: {
  artifacts: Artifacts;
  modelOf: (sha256: string) => ModelFile | undefined;
}): JudgeDeps["draft"] {
  return async (pipeline, plan, { idle, externalSha256 }) => {
    const model = deps.modelOf(pipeline.model.sha256);
    if (model === undefined) {
      throw new AppError(
        "MODEL_UNREADABLE",
        `model ${pipeline.model.name} is not configured any more`,
      );
    }
    const made = (part: PlannedPartition): Promise<Partition> =>
      partitionOf(deps.artifacts, { model, externalSha256 }, part);
    const partitions: Partition[] = [];
    for (const part of plan.partitions) partitions.push(await made(part));
    const alone = onSourceAlone(idle, pipeline.source);
    return {
      pipeline: pipeline.name,
      model: { name: model.name, sha256: model.sha256 },
      ...(externalSha256 === undefined ? {} : { externalSha256 }),
      source: plan.source,
      predictedLatencyMs: plan.latencyMs,
      transferBytes: plan.transferBytes,
      partitions,
      hops: plan.hops.map(({ from, to, bytes, transferMs }) => ({ from, to, bytes, transferMs })),
      fallback: alone === null ? null : await made(alone),
    };
  };
}

/** The whole model on the source, where the constraints allow it. */
function onSourceAlone(
  problem: PlanningProblem,
  source: string,
): RankedPlan["partitions"][number] | null {
  const lastLayer = problem.blocks.at(-1)?.lastLayer;
  if (lastLayer === undefined) return null;
  const priced = pricePlan(problem, {
    source,
    partitions: [{ node: source, firstLayer: 0, lastLayer }],
  });
  return "infeasible" in priced ? null : (priced.partitions[0] ?? null);
}

async function partitionOf(
  artifacts: Artifacts,
  { model, externalSha256 }: { model: ModelFile; externalSha256: string | undefined },
  part: PlannedPartition,
): Promise<Partition> {
  const { node, tier, firstLayer, lastLayer, computeMs, estimateMs } = part;
  const artifact = await artifacts.ensure(model, { firstLayer, lastLayer }, externalSha256);
  const { sha256, bytes, inputs, outputs } = artifact;
  const path = partitionPath(model.sha256, sha256);
  return {
    node,
    tier,
    firstLayer,
    lastLayer,
    computeMs,
    confirmed: estimateMs !== undefined,
    ...(estimateMs === undefined ? {} : { estimateMs }),
    inputs,
    outputs,
    artifact: { sha256, bytes, path },
  };
}
