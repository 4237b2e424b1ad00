import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Artifacts, type LayerRange } from "../../src/daemon/artifacts.js";
import { hashModels, type ModelFile } from "../../src/daemon/models.js";

const BYTES = 100;

describe("artifacts", () => {
  const directories: string[] = [];
  let model: ModelFile;
  beforeEach(async () => {
    const directory = await mkdtemp(join(tmpdir(), "scissiond-artifacts-"));
    directories.push(directory);
    const path = join(directory, "chain.onnx");
    await writeFile(path, "a model");
    const { files } = await hashModels([{ name: "chain", path, inputs: [] }], BYTES);
    model = files[0]!;
  });
  afterEach(async () => {
    for (const path of directories.splice(0)) await rm(path, { recursive: true, force: true });
  });

  async function open(bytesMax: number, meanwhile?: () => Promise<void>, external?: () => string) {
    const directory = await mkdtemp(join(tmpdir(), "scissiond-artifacts-"));
    directories.push(directory);
    const extracted: LayerRange[] = [];
    const artifacts = await Artifacts.open(
      { directory, bytesMax },
      async (_model, range, destination) => {
        extracted.push(range);
        await writeFile(destination, Buffer.alloc(BYTES));
        await meanwhile?.();
        const sha256 = String(range.lastLayer).padStart(64, "0");
        return { sha256, bytes: BYTES, externalSha256: external?.(), inputs: [], outputs: [] };
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
    expect(artifacts.has(model.sha256, first.sha256)).toBe(true);
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

  it("are never of a file that has become another one, before or meanwhile", async () => {
    const range = { firstLayer: 0, lastLayer: 3 };
    const old = await open(1_000);
    const known = await old.artifacts.ensure(model, range);
    const { artifacts, extracted } = await open(1_000, () => writeFile(model.path, "other"));
    await expect(artifacts.ensure(model, range)).rejects.toMatchObject({ code: "MODEL_CHANGED" });
    await expect(artifacts.ensure(model, range)).rejects.toMatchObject({ code: "MODEL_CHANGED" });
    expect(extracted).toHaveLength(1);
    expect(artifacts.has(model.sha256, known.sha256)).toBe(false);
    // What was made of it before is what plans in force name.
    expect(await old.artifacts.ensure(model, range)).toEqual(known);
  });

  it("are of the data beside the model that was benchmarked, and of no other", async () => {
    const range = { firstLayer: 0, lastLayer: 3 };
    const [old, now] = ["a".repeat(64), "b".repeat(64)];
    const { artifacts, directory, extracted } = await open(1_000, undefined, () => now);
    await expect(artifacts.ensure(model, range, old)).rejects.toMatchObject({
      code: "MODEL_CHANGED",
    });
    expect(await readdir(directory)).toEqual([]);
    const { sha256 } = await artifacts.ensure(model, range, now);
    await artifacts.ensure(model, range, now);
    expect(extracted).toHaveLength(2);
    expect(artifacts.has(model.sha256, sha256)).toBe(true);
  });
});
