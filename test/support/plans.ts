import type { Decision, PlanDocument, Status } from "../../src/protocol/index.js";

/** A valid plan of one partition; `overrides` replaces members. */
export function aPlan(overrides: Partial<PlanDocument> = {}): PlanDocument {
  return {
    pipeline: "camera",
    epoch: "epoch-1",
    revision: 1,
    publishedAt: 1_900_000_000_000,
    model: { name: "tiny", sha256: "a".repeat(64) },
    source: "cam-1",
    predictedLatencyMs: 12.5,
    transferBytes: 0,
    partitions: [
      {
        node: "cam-1",
        tier: "device",
        firstLayer: 0,
        lastLayer: 9,
        computeMs: 12.5,
        inputs: [],
        outputs: [],
        artifact: { sha256: "b".repeat(64), bytes: 3, path: "/api/v1/models/x" },
      },
    ],
    hops: [],
    fallback: null,
    reason: "first plan",
    ...overrides,
  };
}

export function aDecision(overrides: Partial<Decision> = {}): Decision {
  return {
    at: 1_900_000_000_000,
    pipeline: "camera",
    triggers: [],
    verdict: "kept",
    currentLatencyMs: 12.5,
    bestLatencyMs: 12,
    gainPercent: 4,
    revision: 1,
    summary: "the gain is below the minimum",
    ...overrides,
  };
}

export function aStatus(overrides: Partial<Status> = {}): Status {
  return {
    version: "0.1.0",
    site: "test",
    node: "edge-1",
    epoch: "epoch-1",
    at: 1_900_000_000_000,
    uptimeSeconds: 1,
    ready: true,
    problems: [],
    mqtt: { connected: true, broker: "mqtt://127.0.0.1:1883" },
    nodes: [],
    links: [],
    profiles: [],
    benchmark: { running: null, nextRunAt: null },
    pipelines: [],
    subscribers: 0,
    ...overrides,
  };
}
