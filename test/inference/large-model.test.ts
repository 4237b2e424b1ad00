import {
  closeSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { freemem, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  benchmarkModel,
  benchmarkOptionsSchema,
  extractPartition,
  inspectModel,
} from "../../src/benchmark/index.js";
import { silentLogger, systemClock } from "../../src/core/index.js";
import { buildModel, externalFloats, floats, node, value } from "../support/onnx-builder.js";

const WIDTH = 1_024;
/** Two such tables are a little more than 2 GiB; each byte is read and hashed at every opening. */
const ROWS = 263_000;
const TABLE_BYTES = ROWS * WIDTH * 4;
const GIB = 1_024 ** 3;
const TIMEOUT_MS = 300_000;
const DEPS = { log: silentLogger, clock: systemClock };
const INPUTS = [{ name: "row", shape: [1], value: 1 }];
const NODE = { tier: "cloud", name: "big", hardwareClass: "big" } as const;
const OPTIONS = benchmarkOptionsSchema.parse({
  repeats: 1,
  repeatsMax: 1,
  inference: { modelBytesMax: 4 * GIB, memoryLimitMiB: 12_288 },
});

const hasRoom = freemem() > 10 * GIB && statfsSync(tmpdir()).type !== 0x01021994;

/** Two tables in a sparse file of more than 2 GiB: only their second rows hold anything. */
function writeLargeModel(directory: string): string {
  const weights = join(directory, "tables.bin");
  const file = openSync(weights, "w");
  for (const table of [0, 1]) {
    const row = Float32Array.from({ length: WIDTH }, (_, index) => Math.sin(index + table));
    writeSync(file, new Uint8Array(row.buffer), 0, row.byteLength, table * TABLE_BYTES + WIDTH * 4);
  }
  closeSync(file);
  truncateSync(weights, 2 * TABLE_BYTES);
  const table = (name: string, offset: number) =>
    externalFloats(name, [ROWS, WIDTH], {
      location: "tables.bin",
      offset: String(offset),
      length: String(TABLE_BYTES),
    });
  const path = join(directory, "large.onnx");
  writeFileSync(
    path,
    buildModel({
      inputs: [value("row", [1], "int64")],
      outputs: [value("y", [1, 2])],
      nodes: [
        node("Gather", ["left", "row"], ["a"]),
        node("Tanh", ["a"], ["b"]),
        node("Gather", ["right", "row"], ["c"]),
        node("Add", ["b", "c"], ["d"]),
        node("MatMul", ["d", "w"], ["y"]),
      ],
      initializers: [
        table("left", 0),
        table("right", TABLE_BYTES),
        floats(
          "w",
          Array.from({ length: WIDTH * 2 }, (_, index) => Math.cos(index)),
          [WIDTH, 2],
        ),
      ],
    }),
  );
  return path;
}

describe.skipIf(!hasRoom)(
  "a model of more than 2 GiB (skipped without 10 GiB of free memory)",
  () => {
    let directory: string;
    let path: string;
    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), "scissiond-large-"));
      path = writeLargeModel(directory);
    });
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    it("is inspected and benchmarked, its chain equal to the whole", {
      timeout: TIMEOUT_MS,
    }, async () => {
      const seen = await inspectModel({ path, inputs: INPUTS }, OPTIONS, DEPS);
      expect(seen.layers).toBe(5);
      expect(seen.cutPoints.length).toBeGreaterThan(0);
      const profile = await benchmarkModel({ path, inputs: INPUTS, node: NODE }, OPTIONS, DEPS);
      expect(profile.equality.ok).toBe(true);
      expect(profile.externalSha256).toMatch(/^[0-9a-f]{64}$/);
      expect(profile.blocks.length).toBe(seen.cutPoints.filter((cut) => !cut.fused).length + 1);
      const destination = join(directory, "end.onnx");
      const range = { firstLayer: 4, lastLayer: 4 };
      const part = await extractPartition(
        { path, inputs: INPUTS, ...range, destination },
        OPTIONS,
        DEPS,
      );
      expect(part.bytes).toBeLessThan(GIB);
    });

    it("is refused where the limit is smaller, and the error says which", async () => {
      const small = benchmarkOptionsSchema.parse({ inference: { modelBytesMax: 2_150_000_000 } });
      await expect(inspectModel({ path, inputs: INPUTS }, small, DEPS)).rejects.toMatchObject({
        code: "MODEL_TOO_LARGE",
        message: expect.stringContaining("modelBytesMax") as string,
      });
      await expect(
        inspectModel({ path, inputs: INPUTS }, benchmarkOptionsSchema.parse({}), DEPS),
      ).rejects.toMatchObject({ code: "MODEL_TOO_LARGE" });
    });
  },
);
