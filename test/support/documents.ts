import type { Decision, PlanDocument, Profile } from "../../src/protocol/index.js";

const SHA256 = "a".repeat(64);

/** A valid plan: the whole model on one device. */
export function planDocument(overrides: Partial<PlanDocument> = {}): PlanDocument {
  const partition: PlanDocument["partitions"][number] = {
    node: "cam-1",
    tier: "device",
    firstLayer: 0,
    lastLayer: 9,
    computeMs: 12,
    inputs: [{ name: "x", dtype: "float32", shape: [1, 3], bytes: 12 }],
    outputs: [{ name: "y", dtype: "float32", shape: [1, 2], bytes: 8 }],
    artifact: { sha256: SHA256, bytes: 100, path: `/api/v1/models/${SHA256}` },
  };
  return {
    pipeline: "vision-cam-1",
    epoch: "epoch-1",
    revision: 1,
    publishedAt: 1_900_000_000_000,
    model: { name: "net", sha256: SHA256 },
    source: "cam-1",
    predictedLatencyMs: 12,
    transferBytes: 0,
    partitions: [partition],
    hops: [],
    fallback: partition,
    reason: "first plan",
    ...overrides,
  };
}

export function decision(overrides: Partial<Decision> = {}): Decision {
  return {
    at: 1_900_000_000_000,
    pipeline: "vision-cam-1",
    triggers: [],
    verdict: "kept",
    currentLatencyMs: 12,
    bestLatencyMs: 12,
    gainPercent: 0,
    revision: 1,
    summary: "still the best",
    ...overrides,
  };
}

/** A valid profile of one block. */
export function profile(overrides: Partial<Profile> = {}): Profile {
  return {
    model: { name: "net", sha256: SHA256 },
    node: { tier: "device", name: "cam-1", hardwareClass: "generic" },
    measuredAt: 1_900_000_000_000,
    environment: {
      cpuModel: "test",
      logicalCores: 2,
      threads: 1,
      onnxruntimeVersion: "1.30.0",
      nodeVersion: "20.0.0",
      platform: "linux",
      provider: "cpu",
      emulatedSlowdown: 1,
    },
    inputBytes: 12,
    wholeMs: 12,
    blocks: [
      {
        index: 0,
        firstLayer: 0,
        lastLayer: 9,
        medianMs: 12,
        spreadMs: 1,
        repeats: 3,
        outputBytes: 8,
        cutTensors: [{ name: "y", dtype: "float32", shape: [1, 2], bytes: 8 }],
      },
    ],
    equality: { maxAbsoluteError: 0, maxRelativeError: 0, ok: true },
    ...overrides,
  };
}
