import { describe, expect, it } from "vitest";
import { Context } from "../../src/daemon/context.js";
import { situationOf } from "../../src/daemon/problem.js";
import { driftOptionsSchema } from "../../src/drift/index.js";
import { constraintsSchema, rankPlans } from "../../src/planner/index.js";
import { aProfile } from "../support/profiles.js";

describe("the planning problem of a pipeline", () => {
  it("keeps raw input on the device up to the cut that none of it crosses", () => {
    const context = new Context();
    const tensor = (name: string) => ({ name, dtype: "float32", shape: [1], bytes: 4 });
    const block = (index: number, cutTensors: string[]) => ({
      index,
      firstLayer: index,
      lastLayer: index,
      medianMs: 100,
      spreadMs: 1,
      repeats: 3,
      outputBytes: 4 * cutTensors.length,
      cutTensors: cutTensors.map(tensor),
    });
    const blocks = [block(0, ["image", "a"]), block(1, ["b"]), block(2, ["y"])];
    const model = aProfile().model;
    for (const [tier, name] of [
      ["device", "cam-1"],
      ["cloud", "gpu-1"],
    ] as const) {
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
      const medianMs = tier === "cloud" ? 1 : 100;
      context.recordProfile(
        aProfile({
          node: { tier, name, hardwareClass: name },
          inputNames: ["image"],
          blocks: blocks.map((one) => ({ ...one, medianMs })),
        }),
      );
    }
    context.recordLink(
      { from: "cam-1", to: "gpu-1" },
      { rttMs: 1, bandwidthMbps: 100 },
      { nowMs: 0, halfLifeMs: 1_000 },
    );
    const situation = situationOf(
      {
        name: "door",
        model,
        source: "cam-1",
        constraints: constraintsSchema.parse({ rawInputStaysOn: "device" }),
        costModel: { rttFactor: 1, returnResult: false },
        thresholds: driftOptionsSchema.parse({}),
        requestsPerSecond: 1,
      },
      context,
    );
    if ("missing" in situation) throw new Error(situation.missing);
    const [plan] = rankPlans(situation.problem).plans;
    expect(plan?.partitions.map(({ node, lastLayer }) => [node, lastLayer])).toEqual([
      ["cam-1", 1],
      ["gpu-1", 2],
    ]);
  });
});
