import { createHash } from "node:crypto";
import type { KnownModel } from "../inference/index.js";
import { environmentSchema, type Profile } from "../protocol/index.js";
import type { BenchmarkOptions } from "./options.js";
import type { ModelRequest } from "./with-model.js";

/**
 * SHA-256 over what a model's cuts, their fusions and the equality of the chain depend on, beside
 * model and environment. Undefined for input from files, which may change without notice.
 */
export function conditionsOf(request: ModelRequest, options: BenchmarkOptions): string | undefined {
  if (request.inputFiles !== undefined && request.inputFiles.length > 0) return undefined;
  const { maxCutTensors, cutInsideFusions, blocksMax } = options;
  const { inputSeed, relativeTolerance, environment } = options.inference;
  const conditions = [
    request.inputs.map(({ name, shape, value, range }) => [name, shape, value, range]),
    [maxCutTensors, cutInsideFusions, blocksMax],
    [inputSeed, relativeTolerance, Object.entries(environment).sort()],
  ];
  return createHash("sha256").update(JSON.stringify(conditions)).digest("hex");
}

/** Why cuts and equality of a profile do not hold for these options, in plain words; undefined where they do. */
export function whyNotVerified(
  { equality, environment, verified }: Profile,
  request: ModelRequest & { emulatedSlowdown?: number | undefined },
  options: BenchmarkOptions,
): string | undefined {
  if (!equality.ok) return "its blocks were not equal to the model";
  if (environment.emulatedSlowdown !== (request.emulatedSlowdown ?? 1)) {
    return "the environment changed";
  }
  const conditions = conditionsOf(request, options);
  return conditions !== undefined && verified?.conditions === conditions
    ? undefined
    : "its inputs or the options of cutting changed";
}

/** What an earlier profile knows of the model, for the child to compare file and environment with. */
export function knownOf(profile: Profile): KnownModel {
  const { model, externalSha256, environment, blocks } = profile;
  return {
    sha256: model.sha256,
    ...(externalSha256 === undefined ? {} : { externalSha256 }),
    environment: environmentSchema.omit({ emulatedSlowdown: true }).strip().parse(environment),
    layers: (blocks.at(-1)?.lastLayer ?? 0) + 1,
    outputs: blocks.at(-1)?.cutTensors ?? [],
    cutPoints: blocks.slice(0, -1).map(({ lastLayer, cutTensors }) => ({
      afterLayer: lastLayer,
      tensors: cutTensors,
    })),
  };
}
