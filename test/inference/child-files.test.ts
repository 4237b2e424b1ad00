import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isAppError } from "../../src/core/index.js";
import {
  externalReader,
  hashed,
  readModelFile,
  writeAtomically,
} from "../../src/inference/child-files.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "scissiond-test-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    return isAppError(error) ? error.code : `not an AppError: ${String(error)}`;
  }
  return undefined;
}

describe("hashed", () => {
  it("tells other external data, and only that", () => {
    const hashOf = (text: string): string => {
      const { read, sha256 } = hashed(() => Buffer.from(text));
      expect(Buffer.from(read("weights", 0, undefined)).toString()).toBe(text);
      return sha256();
    };
    expect(hashOf("same")).toBe(hashOf("same"));
    expect(hashOf("same")).not.toBe(hashOf("other"));
  });
});

describe("readModelFile", () => {
  it("reads a file", () => {
    const path = join(directory, "m.onnx");
    writeFileSync(path, "model");
    expect(Buffer.from(readModelFile(path, 5)).toString()).toBe("model");
  });

  it("refuses what is missing, empty, a directory or a FIFO without waiting for a writer", () => {
    const empty = join(directory, "empty");
    writeFileSync(empty, "");
    const fifo = join(directory, "fifo");
    execFileSync("mkfifo", [fifo]);
    for (const path of [join(directory, "missing"), empty, directory, fifo]) {
      expect(codeOf(() => readModelFile(path, 5))).toBe("MODEL_UNREADABLE");
    }
  });

  it("refuses what is too large before reading it", () => {
    const path = join(directory, "huge");
    writeFileSync(path, "");
    truncateSync(path, 3 * 2 ** 30);
    expect(codeOf(() => readModelFile(path, 2 ** 31 - 1))).toBe("MODEL_TOO_LARGE");
  });
});

describe("externalReader", () => {
  let model: string;
  beforeEach(() => {
    mkdirSync(join(directory, "model", "deep"), { recursive: true });
    model = join(directory, "model", "m.onnx");
    writeFileSync(model, "m");
    writeFileSync(join(directory, "model", "deep", "weights"), "0123456789");
    writeFileSync(join(directory, "secret"), "secret");
  });

  it("reads slices of files in the model's directory", () => {
    const read = externalReader(model, 100);
    expect(Buffer.from(read("deep/weights", 2, 3)).toString()).toBe("234");
    expect(Buffer.from(read("deep/weights", 8, undefined)).toString()).toBe("89");
  });

  it("never leaves the directory", () => {
    symlinkSync("../secret", join(directory, "model", "link"));
    symlinkSync("..", join(directory, "model", "up"));
    const read = externalReader(model, 100);
    for (const location of [
      "../secret",
      join(directory, "secret"),
      "/etc/passwd",
      "link",
      "up/secret",
      "deep/../../secret",
      "",
      ".",
      "weights\0",
    ]) {
      expect(
        codeOf(() => read(location, 0, 1)),
        location,
      ).toBe("MODEL_UNREADABLE");
    }
  });

  it("refuses offsets and lengths outside the file", () => {
    const read = externalReader(model, 100);
    for (const [offset, length] of [
      [-8, 4],
      [0, 11],
      [8, 3],
      [1_000_000, undefined],
      [0, -1],
    ] as const) {
      expect(codeOf(() => read("deep/weights", offset, length))).toBe("MODEL_UNREADABLE");
    }
  });

  it("bounds what is read in all, however often the same file is named", () => {
    const read = externalReader(model, 15);
    read("deep/weights", 0, 10);
    expect(codeOf(() => read("deep/weights", 0, 10))).toBe("MODEL_TOO_LARGE");
  });
});

describe("writeAtomically", () => {
  it("replaces a file and leaves nothing beside it", () => {
    const path = join(directory, "part.onnx");
    writeFileSync(path, "old");
    writeAtomically(path, Buffer.from("new"));
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(readdirSync(directory)).toEqual(["part.onnx"]);
  });

  it("keeps the old and leaves nothing behind when it fails", () => {
    const path = join(directory, "taken");
    mkdirSync(join(path, "not-empty"), { recursive: true });
    expect(() => writeAtomically(path, Buffer.from("new"))).toThrow();
    expect(readdirSync(directory)).toEqual(["taken"]);
  });
});
