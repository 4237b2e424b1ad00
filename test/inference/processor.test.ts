import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { inferenceOptionsSchema } from "../../src/inference/index.js";
import { createProcessor } from "../../src/inference/processor.js";

const CONFIG = { ...inferenceOptionsSchema.parse({}), temporaryDirectory: tmpdir() };

describe("createProcessor", () => {
  it("tells for the speed that was seen first, or for that which it is told", async () => {
    const processor = createProcessor(CONFIG);
    const seenMs = await processor.tellFor(undefined);
    expect(seenMs).toBeGreaterThan(0);
    expect(await processor.usualMs()).toBe(seenMs);
    expect(await processor.tellFor(2 * seenMs)).toBe(seenMs);
    expect(await processor.usualMs()).toBe(2 * seenMs);
  });

  it("does not tell for a speed that only another yardstick or processor can have", async () => {
    const processor = createProcessor(CONFIG);
    const seenMs = await processor.tellFor(undefined);
    for (const factor of [0.05, 20]) {
      await processor.tellFor(factor * seenMs);
      expect(await processor.usualMs()).toBe(seenMs);
    }
  });

  it("reads the speed of this moment", async () => {
    const processor = createProcessor(CONFIG);
    const [seenMs, nowMs] = [await processor.usualMs(), await processor.read()];
    expect(nowMs).toBeGreaterThan(seenMs / 20);
    expect(nowMs).toBeLessThan(20 * seenMs);
  });
});
