import { describe, expect, it } from "vitest";
import { Context } from "../../src/daemon/context.js";
import { isCurrent } from "../../src/daemon/current.js";
import type { ModelFile } from "../../src/daemon/models.js";
import { hostOf, wantedBenchmarks } from "../../src/daemon/wanted.js";
import type { NodeState } from "../../src/protocol/index.js";
import { aProfile } from "../support/profiles.js";

const { model, environment } = aProfile();
const { emulatedSlowdown, ...told } = environment;

function state(node: string, more: Partial<NodeState> = {}): NodeState {
  return {
    node,
    status: "online",
    bootId: node,
    tier: "cloud",
    hardwareClass: "gpu",
    version: "test",
    logicalCores: 1,
    memoryBytes: 1,
    emulatedSlowdown,
    models: [],
    ...more,
  };
}

function world(...states: NodeState[]) {
  const context = new Context();
  for (const one of states) context.recordNode(one);
  const nodes = (running = ""): string[] =>
    wantedBenchmarks({
      models: [{ ...model, path: "net.onnx" } as ModelFile],
      pipelines: [{ model, source: "cam-1" }],
      context,
      isRunning: (_sha256, node) => node === running,
    }).map(({ node }) => node);
  const measured = (name: string, measuredAt: number): void =>
    context.recordProfile(
      aProfile({ node: { tier: "cloud", name, hardwareClass: "gpu" }, measuredAt }),
    );
  return { context, nodes, measured };
}

describe("the nodes that are measured", () => {
  it("are one of each hardware class, and only sources of the devices", () => {
    const { nodes } = world(
      state("gpu-2"),
      state("gpu-1"),
      state("cam-1", { tier: "device", hardwareClass: "pi" }),
      state("cam-2", { tier: "device", hardwareClass: "pi" }),
      state("slow", { emulatedSlowdown: 3 }),
      state("other", { environment: { ...told, threads: 4 } }),
    );
    expect(nodes().sort()).toEqual(["cam-1", "gpu-1", "other", "slow"]);
  });

  it("stay the same while they are there; another takes over when one has gone", () => {
    const { nodes, measured, context } = world(state("gpu-1"), state("gpu-2"), state("gpu-3"));
    expect(nodes("gpu-3")).toEqual(["gpu-3"]);
    measured("gpu-2", 5);
    expect(nodes()).toEqual(["gpu-2"]);
    context.recordNode(state("gpu-2", { status: "offline" }));
    expect(nodes()).toEqual(["gpu-1"]);
    // What was measured before still serves the class.
    expect(context.profileFor(model.sha256, state("gpu-1"))?.measuredAt).toBe(5);
    measured("gpu-1", 9);
    expect(context.profileFor(model.sha256, state("gpu-3"))?.measuredAt).toBe(9);
    expect(context.profileFor(model.sha256, state("x", { hardwareClass: "x" }))).toBeUndefined();
  });

  it("have the host they tell of, else one of their own", () => {
    expect(hostOf(state("a", { hostId: "h" }))).toBe(hostOf(state("b", { hostId: "h" })));
    expect(hostOf(state("a"))).not.toBe(hostOf(state("b")));
  });
});

describe("a profile", () => {
  const profile = aProfile({ node: { tier: "cloud", name: "gpu-1", hardwareClass: "gpu" } });
  it.each([
    ["threads", { threads: 2 }],
    ["ONNX Runtime", { onnxruntimeVersion: "1.31.0" }],
    ["processors", { logicalCores: 8 }],
    ["provider", { provider: "cuda,cpu" }],
    ["processor", { cpuModel: "another" }],
  ])("is stale when the node's %s changed", (_what, change) => {
    expect(isCurrent(profile, state("gpu-1", { environment: told }))).toBe(true);
    expect(isCurrent(profile, state("gpu-1", { environment: { ...told, ...change } }))).toBe(false);
  });

  it("serves nodes of its class whose processor has another name, and those that tell nothing", () => {
    const other = { ...told, cpuModel: "another" };
    expect(isCurrent(profile, state("gpu-2", { environment: other }))).toBe(true);
    expect(isCurrent(profile, state("gpu-1"))).toBe(true);
    expect(isCurrent(profile, state("gpu-1", { emulatedSlowdown: 2 }))).toBe(false);
  });
});
