import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { parseModel } from "../../src/model/index.js";
import { buildModel, describeModel, encodeNamedModel, MODEL_NAMES } from "../../src/zoo/index.js";

const FULL = { seed: 1, light: false };
const LIGHT = { seed: 1, light: true };

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function weightsOf(bytes: Uint8Array): Map<string, Float32Array> {
  const { initializer } = parseModel(bytes).graph;
  return new Map(
    initializer.map(({ name, rawData }) => [
      name ?? "",
      new Float32Array(Uint8Array.from(rawData ?? []).buffer),
    ]),
  );
}

describe("full models", () => {
  const bytes = buildModel("mobilenet", FULL);

  it("are the same bytes for the same seed, and others for another", () => {
    expect(sha256(buildModel("mobilenet", FULL))).toBe(sha256(bytes));
    expect(sha256(buildModel("mobilenet", { ...FULL, seed: 2 }))).not.toBe(sha256(bytes));
  });

  it("say how long they will be before they are made", () => {
    const encoded = encodeNamedModel("densenet121", FULL);
    let length = 0;
    for (const chunk of encoded.chunks()) length += chunk.byteLength;
    expect(length).toBe(encoded.byteLength);
  });

  it("hold every parameter once, in the scale it should have", () => {
    const weights = weightsOf(bytes);
    for (const { name, shape, mean, deviation } of describeModel("mobilenet").parameters) {
      const values = weights.get(name)!;
      expect(values.length).toBe(shape.reduce((a, b) => a * b, 1));
      if (values.length < 10_000) continue;
      const average = values.reduce((sum, value) => sum + value, 0) / values.length;
      const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
      expect(Math.abs(average - mean)).toBeLessThan(0.05 * deviation);
      expect(Math.sqrt(square) / deviation).toBeCloseTo(1, 1);
    }
  });

  it("never give batch normalization a variance that is not positive", () => {
    for (const [name, values] of weightsOf(bytes)) {
      if (name.endsWith("/moving_variance")) expect(Math.min(...values)).toBeGreaterThan(0);
    }
  });

  it("have no two filters alike", () => {
    const kernel = weightsOf(bytes).get("conv_pw_13/kernel")!;
    const filters = Array.from({ length: 1024 }, (_, index) =>
      kernel.slice(index * 1024, (index + 1) * 1024).join(),
    );
    expect(new Set(filters).size).toBe(1024);
  });
});

describe("light models", () => {
  it("are kilobytes where the full one is half a gigabyte", () => {
    expect(encodeNamedModel("vgg16", FULL).byteLength).toBeGreaterThan(553_000_000);
    expect(encodeNamedModel("vgg16", LIGHT).byteLength).toBeLessThan(200_000);
  });

  it.each(MODEL_NAMES)("%s keeps every layer, in order, and weights never cross a cut", (name) => {
    const model = parseModel(buildModel(name, LIGHT));
    const graph = describeModel(name);
    const architecture = new Set(graph.nodes.map((node) => node.name));
    const kept = model.layers.filter((layer) => architecture.has(layer.name));
    expect(kept.map((layer) => layer.name)).toEqual(graph.nodes.map((node) => node.name));
    for (const layer of model.layers) {
      if (!architecture.has(layer.name)) expect(model.constants).toContain(layer.outputs[0]);
    }
  });
});
