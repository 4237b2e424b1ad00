import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { benchmarkOptionsSchema, listSidecars } from "../../src/benchmark/index.js";
import { silentLogger, systemClock } from "../../src/core/index.js";
import { hashModels } from "../../src/daemon/models.js";
import { Sidecars } from "../../src/daemon/sidecars.js";
import { chainModel, CHAIN_WIDTH } from "../support/site.js";

const FLOAT_BYTES = 4;
const never = new AbortController().signal;

describe("files beside a model", () => {
  let directory = "";
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "scissiond-sidecars-"));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it("are not taken with the hash of what they were while they were changed", async () => {
    const path = join(directory, "chain.onnx");
    const weights = join(directory, "last.bin");
    const content = (byte: number) => Buffer.alloc(CHAIN_WIDTH ** 2 * FLOAT_BYTES, byte);
    await writeFile(path, chainModel(0, "last.bin"));
    await writeFile(weights, content(0));
    const { files } = await hashModels([{ name: "chain", path, inputs: [] }], 1_000_000);
    const options = benchmarkOptionsSchema.parse({});
    const deps = { log: silentLogger, clock: systemClock };
    let meanwhile = (): Promise<void> => writeFile(weights, content(1));
    const sidecars = new Sidecars(async (model, signal) => {
      const listed = await listSidecars(model.path, options, { ...deps, signal });
      // As if it was written between the hash and whatever looks at the file next.
      await meanwhile();
      return listed;
    });
    await expect(sidecars.of(files[0]!, never)).rejects.toMatchObject({ code: "MODEL_CHANGED" });
    meanwhile = () => Promise.resolve();
    const [listed] = await sidecars.of(files[0]!, never);
    const sha256 = createHash("sha256").update(content(1)).digest("hex");
    expect(listed).toEqual({ location: "last.bin", bytes: (await stat(weights)).size, sha256 });
    expect(sidecars.path(files[0]!.sha256, sha256)).toBe(weights);
  });

  it("are found beside what the model's path leads to, where that is a link", async () => {
    await mkdir(join(directory, "version-1"));
    const weights = join(directory, "version-1", "last.bin");
    await writeFile(weights, Buffer.alloc(CHAIN_WIDTH ** 2 * FLOAT_BYTES));
    await writeFile(join(directory, "version-1", "chain.onnx"), chainModel(0, "last.bin"));
    const path = join(directory, "current.onnx");
    await symlink(join("version-1", "chain.onnx"), path);
    const { files } = await hashModels([{ name: "chain", path, inputs: [] }], 1_000_000);
    const options = benchmarkOptionsSchema.parse({});
    const sidecars = new Sidecars((model, signal) =>
      listSidecars(model.path, options, { log: silentLogger, clock: systemClock, signal }),
    );
    const [listed] = await sidecars.of(files[0]!, never);
    expect(sidecars.path(files[0]!.sha256, listed!.sha256)).toBe(weights);
  });
});
