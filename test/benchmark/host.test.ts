import { createRequire } from "node:module";
import { afterAll, describe, expect, it } from "vitest";
import {
  benchmarkModel,
  benchmarkOptionsSchema,
  describeEnvironment,
  readHostId,
} from "../../src/benchmark/index.js";
import { silentLogger, systemClock } from "../../src/core/index.js";
import { chain, modelDirectory } from "../support/small-models.js";

const models = modelDirectory();
afterAll(() => models.remove());

describe("what a node says of itself", () => {
  it("is the environment that its benchmarks find", async () => {
    const options = benchmarkOptionsSchema.parse({ repeats: 1, inference: { threads: 2 } });
    const require = createRequire(import.meta.url);
    const { version } = require("onnxruntime-node/package.json") as { version: string };
    const versions = { node: process.versions.node, onnxruntime: version };
    const path = models.write("chain.onnx", chain());
    const node = { tier: "device", name: "cam", hardwareClass: "cam" } as const;
    const deps = { log: silentLogger, clock: systemClock };
    const profile = await benchmarkModel({ path, node, inputs: [] }, options, deps);
    const said = describeEnvironment(options, versions);
    expect({ ...said, emulatedSlowdown: 1 }).toEqual(profile.environment);
  });

  it("names one host the same for all its processes", async () => {
    expect(await readHostId()).toBe(await readHostId());
  });
});
