/** A valid plan of one partition. */
export const plan = {
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
};
