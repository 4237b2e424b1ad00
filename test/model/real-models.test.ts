import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isAppError } from "../../src/core/index.js";
import {
  findCutPoints,
  neededConstants,
  type OnnxModel,
  parseModel,
  withShapeConstants,
} from "../../src/model/index.js";
import { describeWithData } from "../support/data.js";
import { badFiles, realModels } from "../support/manifest.js";
import { encode } from "../support/onnx-builder.js";

/** Far above what any of the files takes, even beside other test files. */
const PARSE_MS_MAX = 10_000;

describeWithData("real models", (directory) => {
  for (const real of realModels(directory)) {
    if (real.singleTensorCuts == null) continue;
    const independent = real.singleTensorCuts.map(([name]) => name);
    test(`${real.name}: the cut tensors are those found independently`, () => {
      const model = parseModel(readFileSync(join(directory, "models", real.file)));
      const outputs = new Set(real.outputs.map((output) => output.name));
      const expected = independent.filter((name) => !outputs.has(name));
      const unbound = cutTensors(model);
      expect(unbound.sort()).toEqual(expected.sort());
      // What was found independently counts paths through shapes; once these are constants, tensors
      // that only such a path led around are cuts as well.
      const bound = boundToAnyShape(model);
      const found = cutTensors(bound);
      expect(found).toEqual(expect.arrayContaining(expected));
      const further = found.filter((name) => !unbound.includes(name));
      expect(further.filter((name) => isPathAround(bound, name))).toEqual([]);
      if (bound.shapeConstants.size === 0) expect(further).toEqual([]);
    });
  }

  test("every runnable model survives a round trip without a change", () => {
    for (const real of realModels(directory).filter((candidate) => candidate.runs)) {
      const model = parseModel(readFileSync(join(directory, "models", real.file)));
      const bytes = encode(model.proto);
      // Compared as buffers: an assertion on megabytes would walk them byte by byte.
      const isSame = Buffer.from(encode(parseModel(bytes).proto)).equals(bytes);
      expect(isSame, real.name).toBe(true);
    }
  });
});

function cutTensors(model: OnnxModel): string[] {
  return findCutPoints(model, { maxCutTensors: 1 }).flatMap((cut) => cut.tensors);
}

/** Cuts ask only which tensors are known, not what they hold. */
function boundToAnyShape(model: OnnxModel): OnnxModel {
  const nothing = { dtype: "int64", shape: [0], data: new Uint8Array() };
  const names = neededConstants(model, model.shapeDependents);
  return withShapeConstants(model, new Map(names.map((name) => [name, nothing])));
}

/** Whether an output varies with an input in some other way than through the tensor. */
function isPathAround(model: OnnxModel, tensor: string): boolean {
  const reached = new Set(model.inputs.map((input) => input.name));
  const blocked = (name: string): boolean => name === tensor || model.shapeConstants.has(name);
  for (const layer of model.layers) {
    if (!layer.inputs.some((name) => reached.has(name))) continue;
    for (const name of layer.outputs) if (!blocked(name)) reached.add(name);
  }
  return model.outputs.some(({ name }) => reached.has(name));
}

describeWithData("hostile files", (directory) => {
  for (const bad of badFiles(directory)) {
    test(`${bad.name}: is read, or refused with a reason, in bounded time`, () => {
      const bytes = readFileSync(join(directory, "models", "bad", bad.file));
      const startedAtMs = performance.now();
      const failure = failureOf(bytes);
      expect(performance.now() - startedAtMs).toBeLessThan(PARSE_MS_MAX);
      if (failure === undefined) return;
      expect(isAppError(failure)).toBe(true);
      // What ONNX Runtime runs, we must not refuse.
      expect(bad.outcome).not.toBe("runs");
    });
  }
});

function failureOf(bytes: Uint8Array): unknown {
  try {
    findCutPoints(parseModel(bytes), { maxCutTensors: 1 });
    return undefined;
  } catch (error) {
    return error;
  }
}
