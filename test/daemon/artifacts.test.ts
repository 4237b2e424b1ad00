import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Artifacts, type LayerRange } from "../../src/daemon/artifacts.js";
import type { ModelFile } from "../../src/daemon/models.js";

const BYTES = 100;
const MODEL_SHA256 = "a".repeat(64);
const model = { name: "chain", sha256: MODEL_SHA256 } as ModelFile;

describe("artifacts", () => {
  const directories: string[] = [];
  afterEach(async () => {
    for (const path of directories.splice(0)) await rm(path, { recursive: true, force: true });
  });

  async function open(bytesMax: number) {
    const directory = await mkdtemp(join(tmpdir(), "scissiond-artifacts-"));
    directories.push(directory);
    const extracted: LayerRange[] = [];
    const artifacts = await Artifacts.open(
      { directory, bytesMax },
      async (_model, range, destination) => {
        extracted.push(range);
        await writeFile(destination, Buffer.alloc(BYTES));
        const sha256 = String(range.lastLayer).padStart(64, "0");
        return { sha256, bytes: BYTES, inputs: [], outputs: [] };
      },
    );
    return { artifacts, directory, extracted };
  }

  it("extracts a range once, and again when its file is gone", async () => {
    const { artifacts, extracted } = await open(1_000);
    const range = { firstLayer: 0, lastLayer: 3 };
    const first = await artifacts.ensure(model, range);
    expect(await artifacts.ensure(model, range)).toEqual(first);
    expect(extracted).toHaveLength(1);
    expect(artifacts.has(MODEL_SHA256, first.sha256)).toBe(true);
    expect(artifacts.has("b".repeat(64), first.sha256)).toBe(false);
    await rm(artifacts.path(first.sha256));
    await artifacts.ensure(model, range);
    expect(extracted).toHaveLength(2);
  });

  it("removes the oldest files beyond its limit, but none that is in use", async () => {
    const { artifacts, directory } = await open(2 * BYTES);
    const hashes: string[] = [];
    for (let lastLayer = 1; lastLayer <= 4; lastLayer += 1) {
      const { sha256 } = await artifacts.ensure(model, { firstLayer: 0, lastLayer });
      await utimes(artifacts.path(sha256), lastLayer, lastLayer);
      hashes.push(sha256);
    }
    await artifacts.prune(new Set([hashes[0] ?? ""]));
    expect((await readdir(directory)).sort()).toEqual(
      [hashes[0], hashes[3]].map((sha256) => `${sha256 ?? ""}.onnx`).sort(),
    );
  });
});
