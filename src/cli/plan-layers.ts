import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { AppError, errorMessage } from "../core/index.js";
import { parseModel } from "../model/index.js";
import {
  type DagPlan,
  graphOfProfile,
  type PlanningProblem,
  partitionDag,
  type ProfileSet,
} from "../planner/index.js";

/** The best plan whose partitions need not be consecutive, for a model that was benchmarked finely. */
export async function planByLayers(
  modelPath: string,
  profiles: ProfileSet,
  problem: PlanningProblem,
): Promise<{ plan: DagPlan | null; infeasible: string | null }> {
  const bytes = await readModel(modelPath);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (profiles.sha256 !== undefined && profiles.sha256 !== sha256) {
    throw new AppError(
      "USAGE",
      `--by-layers ${modelPath}: this file's SHA-256 begins ${sha256.slice(0, 12)}, the profiles' ${profiles.sha256.slice(0, 12)}; give the file that was benchmarked`,
    );
  }
  const model = parseModel(bytes);
  const blocks = profiles.blocks.map(({ firstLayer, lastLayer, cutTensors }) => {
    if (cutTensors !== undefined) return { firstLayer, lastLayer, cutTensors };
    throw new AppError(
      "USAGE",
      "--by-layers needs profiles that name the tensors at each cut; write them with `scissiond bench --max-cut-tensors 64 --cut-inside-fusions --json`",
    );
  });
  if (blocks.at(-1)?.lastLayer !== model.layers.length - 1) {
    throw new AppError("USAGE", `--by-layers ${modelPath}: the profiles are of another model`);
  }
  const graph = graphOfProfile(
    { inputBytes: problem.inputBytes, blocks },
    { layers: model.layers, inputs: model.inputs.map(({ name }) => name) },
  );
  const plan = partitionDag({ ...problem, graph });
  const infeasible = plan === null ? "no set of nodes and links meets the criteria" : null;
  return { plan, infeasible };
}

async function readModel(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new AppError("MODEL_UNREADABLE", `${path} cannot be read: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
