import type { Profile } from "../../src/protocol/index.js";

/** A valid profile of one block. */
export function aProfile(overrides: Partial<Profile> = {}): Profile {
  return {
    model: { name: "net", sha256: "a".repeat(64) },
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
