import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { referencePages } from "../../src/cli/schema.js";

const DOCS = join(import.meta.dirname, "../../docs");

describe("the pages in docs/", () => {
  it.each([...referencePages()])("%s is what `npm run docs:config` writes", async (name, text) => {
    expect(await readFile(join(DOCS, name), "utf8")).toBe(text);
  });
});

describe("the reference of the configuration", () => {
  it("describes every key", () => {
    const reference = referencePages().get("configuration.md") ?? "";
    const undescribed = reference.split("\n").filter((line) => /^\| `.*\|\s*\|$/.test(line));
    expect(undescribed).toEqual([]);
  });
});
