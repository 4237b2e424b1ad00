import { Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { AppError } from "../../src/core/index.js";
import { createTurns } from "../../src/inference/child-turns.js";

const REPEAT = { warmups: 0, repeats: 3, budgetMs: 1_000 };
const WHOLE = new Uint8Array([0]);
const RANGES = [1, 2].map((firstLayer) => ({ firstLayer, lastLayer: firstLayer }));

/** Turns of a model whose sessions are counted; the whole is the one that is opened from `WHOLE`. */
function turnsOf({ limitBytes = 1_000, refused = -1 } = {}) {
  const opened: number[] = [];
  let open = 0;
  const turns = createTurns({
    ...{ bytes: WHOLE, outputs: ["y"], feeds: new Map(), isOneThread: true },
    memory: { limitBytes, usedBytes: () => 10 + 10 * open },
    open(bytes) {
      const id = bytes[0] ?? 0;
      if (id === refused) return Promise.reject(new AppError("INFERENCE_FAILED", "no"));
      opened.push(id);
      open += 1;
      const y = new Tensor("float32", Float32Array.of(id), [1]);
      return Promise.resolve({
        ...{ inputNames: [], tensorOutputs: ["y"], otherOutputs: [] },
        run: () => Promise.resolve(new Map([["y", y]])),
        endProfiling: () => undefined,
        release() {
          open -= 1;
          return Promise.resolve();
        },
      });
    },
    part: ({ firstLayer }) =>
      Promise.resolve({
        ...{ bytes: new Uint8Array([firstLayer]), inputs: [], outputs: ["y"], feeds: new Map() },
      }),
  });
  return { turns, opened, openNow: () => open };
}

describe("turns of parts and the whole", () => {
  it("open each once, however many there are, and close what is not asked for any more", async () => {
    const { turns, opened, openNow } = turnsOf();
    for (let turn = 0; turn < 3; turn++) {
      const { wholeMs, samplesMs } = await turns.take(RANGES, REPEAT);
      expect(wholeMs).toBeGreaterThanOrEqual(0);
      expect(samplesMs.map((times) => times.length)).toEqual([3, 3]);
    }
    expect(opened.toSorted()).toEqual([0, 1, 2]);
    await turns.take(RANGES.slice(1), REPEAT);
    expect(openNow()).toBe(2);
  });

  it("do without the whole where there may be no memory for it", async () => {
    const { turns, opened } = turnsOf({ limitBytes: 90 });
    expect((await turns.take(RANGES, REPEAT)).wholeMs).toBeUndefined();
    expect(opened).toEqual([1, 2]);
    expect((await turnsOf({ limitBytes: 100 }).turns.take(RANGES, REPEAT)).wholeMs).toBeDefined();
  });

  it("do without the whole where it does not open, though its parts do", async () => {
    const { turns } = turnsOf({ refused: 0 });
    const { wholeMs, samplesMs } = await turns.take(RANGES, REPEAT);
    expect(wholeMs).toBeUndefined();
    expect(samplesMs).toHaveLength(2);
  });

  it("hold nothing of parts of which one does not open, and try again when asked again", async () => {
    const { turns, openNow } = turnsOf({ refused: 2 });
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(turns.take(RANGES, REPEAT)).rejects.toMatchObject({ code: "INFERENCE_FAILED" });
      expect(openNow()).toBe(0);
    }
  });
});
