import { describe, expect, it } from "vitest";
import { Presence } from "../../src/daemon/presence.js";
import type { NodeState } from "../../src/protocol/index.js";
import { ManualClock } from "../support/manual-clock.js";

const OPTIONS = { farewellHoldMs: 300, returnGraceMs: 10_000 };

function state(node: string, status: NodeState["status"]): NodeState {
  return {
    node,
    status,
    bootId: "boot",
    tier: "device",
    hardwareClass: "camera",
    version: "test",
    logicalCores: 1,
    memoryBytes: 1,
    emulatedSlowdown: 1,
    models: [],
  };
}

function setUp() {
  const clock = new ManualClock();
  const nodes = new Map<string, NodeState>();
  const presence = new Presence(OPTIONS, {
    clock,
    nodes: () => [...nodes.values()],
    apply: (applied) => void nodes.set(applied.node, applied),
    signal: new AbortController().signal,
  });
  const pass = async (deltaMs: number): Promise<void> => {
    clock.advance(deltaMs);
    await Promise.resolve();
  };
  presence.connection(true);
  presence.hear(state("cam-1", "online"));
  return { presence, pass, statusOf: (node: string) => nodes.get(node)?.status };
}

describe("presence", () => {
  it("takes a farewell after a moment, and a return at once", async () => {
    const { presence, pass, statusOf } = setUp();
    await pass(60_000);
    presence.hear(state("cam-1", "offline"));
    await pass(299);
    expect(statusOf("cam-1")).toBe("online");
    await pass(1);
    expect(statusOf("cam-1")).toBe("offline");
    presence.hear(state("cam-1", "online"));
    expect(statusOf("cam-1")).toBe("online");
  });

  it("forgets a farewell that is followed by a return, or by the loss of the broker", async () => {
    const { presence, pass, statusOf } = setUp();
    presence.hear(state("cam-1", "offline"));
    presence.hear(state("cam-1", "online"));
    await pass(1_000);
    expect(statusOf("cam-1")).toBe("online");
    presence.hear(state("cam-1", "offline"));
    presence.connection(false);
    await pass(60_000);
    expect(statusOf("cam-1")).toBe("online");
  });

  it("gives nodes time to come back to a broker that returned", async () => {
    const { presence, pass, statusOf } = setUp();
    presence.hear(state("gpu-1", "online"));
    presence.connection(false);
    await pass(60_000);
    presence.connection(true);
    // What a broker kept from its end: the wills of everybody.
    presence.hear(state("cam-1", "offline"));
    await pass(5_000);
    expect(statusOf("cam-1")).toBe("online");
    presence.hear(state("cam-1", "online"));
    await pass(5_000);
    expect(statusOf("cam-1")).toBe("online");
    expect(statusOf("gpu-1")).toBe("offline");
    // Who has come back is believed again.
    presence.hear(state("cam-1", "offline"));
    await pass(300);
    expect(statusOf("cam-1")).toBe("offline");
  });

  it("starts the grace anew with every connection", async () => {
    const { presence, pass, statusOf } = setUp();
    presence.connection(true);
    await pass(9_000);
    presence.connection(false);
    presence.connection(true);
    await pass(9_000);
    expect(statusOf("cam-1")).toBe("online");
    await pass(1_000);
    expect(statusOf("cam-1")).toBe("offline");
  });

  it("believes at once what it hears first of a node", () => {
    const { presence, statusOf } = setUp();
    presence.hear(state("edge-2", "offline"));
    expect(statusOf("edge-2")).toBe("offline");
  });
});
