import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isAppError } from "../../src/core/index.js";
import { findCutPoints, parseModel } from "../../src/model/index.js";
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
      const cuts = findCutPoints(model, { maxCutTensors: 1 });
      const outputs = new Set(real.outputs.map((output) => output.name));
      const expected = independent.filter((name) => !outputs.has(name));
      expect(cuts.flatMap((cut) => cut.tensors).sort()).toEqual(expected.sort());
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
