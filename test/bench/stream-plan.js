/** A plan of three partitions as a real one is; `reasonBytes` make it longer. */
export function planOfRevision(revision, reasonBytes = 0) {
  const tensor = {
    name: "activation_42/Relu:0",
    dtype: "float32",
    shape: [1, 56, 56, 256],
    bytes: 3_211_264,
  };
  const partition = (node, tier, index) => ({
    node,
    tier,
    firstLayer: index * 50,
    lastLayer: index * 50 + 49,
    computeMs: 12.5,
    inputs: [tensor],
    outputs: [tensor],
    artifact: {
      sha256: String(index).repeat(64),
      bytes: 1_000_000,
      path: `/api/v1/models/${"a".repeat(64)}/partitions/${String(index).repeat(64)}.onnx`,
    },
  });
  const hop = (from, to) => ({ from, to, bytes: 3_211_264, transferMs: 25.7 });
  return {
    pipeline: "camera",
    epoch: "bench",
    revision,
    publishedAt: 1_900_000_000_000,
    model: { name: "resnet50", sha256: "a".repeat(64) },
    source: "cam-1",
    predictedLatencyMs: 112.5,
    transferBytes: 6_422_528,
    partitions: [
      partition("cam-1", "device", 0),
      partition("edge-1", "edge", 1),
      partition("gpu-1", "cloud", 2),
    ],
    hops: [hop("cam-1", "edge-1"), hop("edge-1", "gpu-1"), hop("gpu-1", "cam-1")],
    fallback: partition("cam-1", "device", 3),
    reason: `bandwidth cam-1 → edge-1 fell from 100 to 20 Mbps${"!".repeat(reasonBytes)}`,
  };
}
