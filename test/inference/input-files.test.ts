import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AppError, isAppError } from "../../src/core/index.js";
import { readInput } from "../../src/inference/child-input-files.js";
import { parseNpy } from "../../src/inference/npy.js";
import { readNpzMember } from "../../src/inference/npz.js";
import { npy, zip } from "../support/npy.js";

const FLOATS = new Uint8Array(Float32Array.from([1, 2, 3, 4, 5, 6]).buffer);
const LIMITS = { what: "x.npz", bytesMax: 10_000 };

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "scissiond-test-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function write(name: string, bytes: Uint8Array): { name: string; path: string } {
  const path = join(directory, name);
  writeFileSync(path, bytes);
  return { name: "x", path };
}

function failure(work: () => unknown): AppError {
  try {
    work();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("it succeeded");
}

/** Format version 2, and no data. */
function withHeader(header: string): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  return Buffer.concat([Buffer.from("\x93NUMPY\x02\x00", "latin1"), length, Buffer.from(header)]);
}

describe("parseNpy", () => {
  it("reads type, shape and data", () => {
    const array = parseNpy(npy("<f4", [2, 3], FLOATS), "x.npy");
    expect(array).toMatchObject({ dtype: "float32", shape: [2, 3] });
    expect([...array.data]).toEqual([...FLOATS]);
    expect(parseNpy(npy("|b1", [], new Uint8Array([1])), "x.npy")).toMatchObject({
      dtype: "bool",
      shape: [],
    });
  });

  it.each([
    ["big-endian data", npy(">f4", [6], FLOATS), "big-endian"],
    ["objects", npy("|O", [6], FLOATS), "O"],
    ["missing data", npy("<f4", [2, 4], FLOATS), "wants 32"],
    ["other files", Buffer.from("PK\x03\x04 something else"), "no NumPy array"],
    ["a header that is larger than any", withHeader(" ".repeat(100_000)), "the limit"],
    [
      "an axis beyond all numbers, beside one of nothing",
      withHeader("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 0), }"),
      "no possible length",
    ],
    ["a header without an end", npy("<f4", [6], FLOATS).subarray(0, 40), "ends within"],
  ])("refuses %s", (_, bytes, text) => {
    const error = failure(() => parseNpy(bytes, "x.npy"));
    expect(error.code).toBe("MODEL_INPUT_INVALID");
    expect(error.message).toContain(text);
  });

  it("refuses Fortran order, which would turn the axes around", () => {
    const bytes = npy("<f4", [2, 3], FLOATS);
    const turned = Buffer.from(bytes.toString("latin1").replace("False,", "True, "), "latin1");
    expect(failure(() => parseNpy(turned, "x.npy")).message).toContain("Fortran");
  });
});

describe("readNpzMember", () => {
  const members = new Map([
    ["a.npy", npy("<f4", [6], FLOATS)],
    ["x.npy", npy("<f4", [2, 3], FLOATS)],
  ]);

  it.each([true, false])("finds an array, compressed or not (%s)", (compress) => {
    const member = readNpzMember(zip(members, compress), "x", LIMITS)!;
    expect(parseNpy(member, "x").shape).toEqual([2, 3]);
    expect(readNpzMember(zip(members, compress), "missing", LIMITS)).toBeUndefined();
  });

  it("does not unpack beyond its limit, whatever the archive claims", () => {
    const bomb = zip(new Map([["x.npy", Buffer.alloc(1_000_000)]]), true);
    expect(failure(() => readNpzMember(bomb, "x", LIMITS)).message).toContain("10000");
    const lying = Buffer.from(bomb);
    lying.writeUInt32LE(100, lying.lastIndexOf("PK\x01\x02", undefined, "latin1") + 24);
    expect(failure(() => readNpzMember(lying, "x", LIMITS)).code).toBe("MODEL_INPUT_INVALID");
  });

  it("answers any bytes with an array, nothing, or its own error", () => {
    const whole = zip(members, true);
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, byte, end) => {
        const broken = Buffer.from(whole);
        broken[at] = byte;
        try {
          readNpzMember(broken.subarray(0, end), "x", LIMITS);
        } catch (error) {
          expect(isAppError(error, "MODEL_INPUT_INVALID")).toBe(true);
        }
      }),
    );
  });
});

describe("readInput", () => {
  const input = { name: "x", dtype: "float32", shape: ["batch", 3] };

  it("takes .npy, .npz and raw data", () => {
    const array = npy("<f4", [2, 3], FLOATS);
    const files = [
      write("x.npy", array),
      write("all.npz", zip(new Map([["x.npy", array]]), true)),
      write("x.bin", FLOATS),
    ];
    for (const file of files) {
      const tensor = readInput(file, input, [2, 3]);
      expect(tensor.dims).toEqual([2, 3]);
      expect([...(tensor.data as Float32Array)]).toEqual([1, 2, 3, 4, 5, 6]);
    }
    expect(readInput(files[0]!, input, undefined).dims).toEqual([2, 3]);
  });

  it("refuses another type or shape than the model's, naming file and input", () => {
    const ofIntegers = write("i.npy", npy("<i4", [2, 3], FLOATS));
    const error = failure(() => readInput(ofIntegers, input, undefined));
    expect(error.code).toBe("MODEL_INPUT_INVALID");
    expect(error.message).toMatch(/i\.npy.* x.*int32.*float32/);
    const turned = write("turned.npy", npy("<f4", [3, 2], FLOATS));
    expect(failure(() => readInput(turned, input, undefined)).message).toContain("batchx3");
  });

  it("refuses raw data of the wrong size, or without a shape", () => {
    const raw = write("short.raw", FLOATS.subarray(4));
    expect(failure(() => readInput(raw, input, [2, 3])).message).toContain("takes 24");
    expect(failure(() => readInput(raw, input, undefined)).code).toBe("MODEL_INPUT_UNBOUND");
  });

  it("refuses what is no file", () => {
    const missing = { name: "x", path: join(directory, "missing.npy") };
    expect(failure(() => readInput(missing, input, undefined)).code).toBe("MODEL_UNREADABLE");
  });
});
