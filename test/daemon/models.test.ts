import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hashModels } from "../../src/daemon/models.js";

const BYTES_MAX = 1_000;

describe("models that are configured", () => {
  let directory = "";
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "scissiond-models-"));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it("are known by their hash, and one that cannot be read costs no other", async () => {
    const path = (name: string): string => join(directory, name);
    await writeFile(path("good"), "model");
    await writeFile(path("empty"), "");
    await promisify(execFile)("mkfifo", [path("fifo")]);
    await mkdir(path("directory"));
    await symlink("/dev/zero", path("device"));
    await symlink("loop", path("loop"));
    await writeFile(path("large"), "");
    await truncate(path("large"), 2 ** 40);
    const names = ["missing", "fifo", "directory", "device", "loop", "large", "good", "empty"];
    const entries = names.map((name) => ({ name, path: path(name), inputs: [] }));

    const { files, problems } = await hashModels(entries, BYTES_MAX);
    const sha256Of = (text: string): string => createHash("sha256").update(text).digest("hex");
    expect(files.map(({ name, bytes, sha256 }) => ({ name, bytes, sha256 }))).toEqual([
      { name: "good", bytes: 5, sha256: sha256Of("model") },
      { name: "empty", bytes: 0, sha256: sha256Of("") },
    ]);
    expect(problems.map((text) => /^model (\w+): /.exec(text)?.[1])).toEqual(names.slice(0, -2));
    expect(problems.at(-1)).toContain(`more than ${BYTES_MAX}`);
  });
});
