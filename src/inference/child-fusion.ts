import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { parseModel } from "../model/index.js";
import { DISCARDED_WEIGHTS_FILE, openSession } from "./child-session.js";
import type { ChildConfig } from "./messages.js";

/**
 * The tensors that still exist after ONNX Runtime's optimiser has fused what it fuses on this
 * machine, from the graph it writes. A tensor of the model that is missing lies inside a fusion.
 *
 * Level `extended` holds all fusions. `all` would also change the memory layout of convolutions
 * and rename their outputs, so that tensors seem to vanish which a cut costs only a reordering.
 * @throws AppError INFERENCE_FAILED where the optimised graph cannot be had
 */
export async function tensorsAfterFusion(
  model: Uint8Array,
  config: ChildConfig,
): Promise<ReadonlySet<string>> {
  const directory = mkdtempSync(join(config.temporaryDirectory, "optimised-"));
  try {
    // Folded constants can be gigabytes that nobody reads: they are written to nowhere.
    symlinkSync("/dev/null", join(directory, DISCARDED_WEIGHTS_FILE));
    const path = join(directory, "model.onnx");
    const session = await openSession(model, config, {
      optimisation: "extended",
      optimisedModelPath: path,
    });
    await session.release();
    if (statSync(path).size > config.modelBytesMax) return new Set();
    const optimised = parseModel(readFileSync(path));
    const names = new Set(optimised.inputs.map((input) => input.name));
    for (const layer of optimised.layers) {
      for (const output of layer.outputs) names.add(output);
    }
    return names;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
