import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { publishKept } from "../../src/agent/kept-profiles.js";
import type { Profile } from "../../src/protocol/index.js";
import { openJsonFiles } from "../../src/store/index.js";
import { aProfile } from "../support/profiles.js";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "scissiond-kept-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it("publishes what this node measured as it is now, and nothing else that lies there", async () => {
  const kept = await openJsonFiles({ directory, filesMax: 9, bytesMax: 1_000_000 });
  const own = aProfile();
  const { node, model } = own;
  await kept.save(model.sha256, own);
  const other = "b".repeat(64);
  await kept.save(other, {
    ...own,
    model: { ...model, sha256: other },
    node: { ...node, hardwareClass: "another-class" },
  });
  // Not under its own name, and no profile at all.
  await kept.save("c".repeat(64), own);
  await writeFile(join(directory, `${"d".repeat(64)}.json`), '{"half":');
  const published: Profile[] = [];
  await publishKept(kept, node, (profile) => published.push(profile));
  expect(published).toEqual([own]);
});
