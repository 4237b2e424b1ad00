import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { openJsonFiles } from "../../src/store/index.js";

const LIMITS = { filesMax: 2, bytesMax: 1_000 };

describe("JSON files", () => {
  let directory = "";
  afterEach(() => rm(directory, { recursive: true, force: true }));
  const open = async (limits = LIMITS) => {
    directory = await mkdtemp(join(tmpdir(), "scissiond-json-"));
    return { files: await openJsonFiles({ ...limits, directory }), limits };
  };

  it("gives back what was saved, and nothing where nothing or rubbish is", async () => {
    const { files } = await open();
    expect(await files.load("a")).toBeUndefined();
    await files.save("a", { steps: [1] });
    expect(await files.load("a")).toEqual({ steps: [1] });
    await files.save("a", null);
    expect(await readdir(directory)).toEqual([]);
    await writeFile(join(directory, "b.json"), '{"half":');
    expect(await files.load("b")).toBeUndefined();
    await writeFile(join(directory, "c.json"), `"${"x".repeat(2_000)}"`);
    expect(await files.load("c")).toBeUndefined();
    await expect(files.save("../a", 1)).rejects.toMatchObject({ code: "INTERNAL" });
  });

  it("keeps the newest within its limits, and removes what a killed writer left", async () => {
    const { files } = await open();
    for (const [index, name] of ["a", "b", "c"].entries()) {
      await files.save(name, index);
      await utimes(join(directory, `${name}.json`), index, index).catch(() => undefined);
    }
    expect((await files.names()).sort()).toEqual(["b", "c"]);
    await expect(files.save("b", "x".repeat(1_001))).rejects.toMatchObject({
      code: "STORE_WRITE_FAILED",
    });
    expect(await files.load("b")).toBe(1);
    await writeFile(join(directory, "d.json.part"), "1");
    await openJsonFiles({ ...LIMITS, directory });
    expect((await readdir(directory)).sort()).toEqual(["b.json", "c.json"]);
  });
});
