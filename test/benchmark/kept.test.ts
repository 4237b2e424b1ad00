import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  benchmarkModel,
  type BenchmarkOptions,
  benchmarkOptionsSchema,
  readSentinel,
} from "../../src/benchmark/index.js";
import { silentLogger, systemClock } from "../../src/core/index.js";
import type { Profile } from "../../src/protocol/index.js";
import { heavyChain, type ModelDirectory, modelDirectory } from "../support/small-models.js";

const NODE = { tier: "device", name: "camera", hardwareClass: "camera" } as const;
const OPTIONS = benchmarkOptionsSchema.parse({
  repeats: 2,
  repeatsMax: 2,
  // Less free space than four times as much must not decide whether these tests pass.
  keptBytesMax: 16 * 1024 * 1024,
});
const LONG_AGO = new Date("2020-01-01T00:00:00Z");

let models: ModelDirectory;
let path: string;
let keptDirectory: string;
let first: Profile;
beforeAll(async () => {
  models = modelDirectory();
  path = models.write("heavy.onnx", heavyChain());
  keptDirectory = models.path("kept");
  first = await repeat({ previous: undefined });
});
afterAll(() => models.remove());
beforeEach(() => rmSync(keptDirectory, { recursive: true, force: true }));

function repeat(
  more: { previous?: Profile | undefined; options?: BenchmarkOptions; into?: string } = {},
): Promise<Profile> {
  const { options = OPTIONS, into = keptDirectory } = more;
  const previous = "previous" in more ? more.previous : first;
  const deps = { log: silentLogger, clock: systemClock, keptDirectory: into };
  return benchmarkModel({ path, node: NODE, inputs: [], previous }, options, deps);
}

function look(profile: Profile, options = OPTIONS) {
  const deps = { log: silentLogger, clock: systemClock, keptDirectory };
  return readSentinel({ path, inputs: [], previous: profile }, options, deps);
}

function entries(): string[] {
  return existsSync(keptDirectory) ? readdirSync(keptDirectory) : [];
}

/** The only entry, as if it had been used long ago. */
function age(): string {
  const [entry, ...others] = entries();
  expect(others).toEqual([]);
  const directory = join(keptDirectory, entry!);
  utimesSync(directory, LONG_AGO, LONG_AGO);
  return directory;
}

function sizesIn(directory: string): [string, number][] {
  const files = readdirSync(directory).sort();
  return files.map((file) => [file, statSync(join(directory, file)).size]);
}

function bytesIn(directory: string): number {
  return sizesIn(directory).reduce((sum, [, bytes]) => sum + bytes, 0);
}

function wasUsed(directory: string): boolean {
  return statSync(directory).mtimeMs > LONG_AGO.getTime();
}

function expectGood(profile: Profile): void {
  expect(profile.kernelOrder).toEqual(first.kernelOrder);
  expect(profile.verified).toEqual(first.verified);
  expect(profile.blocks.map(({ lastLayer }) => lastLayer)).toEqual([0, 1, 2, 3]);
  for (const { rawMedianMs } of profile.blocks) expect(rawMedianMs).toBeGreaterThan(0);
}

describe("optimised models that are kept", () => {
  it("are written when a model is benchmarked again, and used from then on", async () => {
    expect(entries()).toEqual([]);
    expectGood(await repeat());
    const directory = age();
    expect(readdirSync(directory).sort()).toEqual(["graph.onnx", "note.json", "weights"]);
    const { ino } = statSync(join(directory, "graph.onnx"));

    expectGood(await repeat());
    expect(wasUsed(directory)).toBe(true);
    expect(statSync(join(directory, "graph.onnx")).ino).toBe(ino);
  });

  it("serve a look at the whole, which keeps nothing itself", async () => {
    await look({ ...first, sentinel: undefined });
    expect(entries()).toEqual([]);
    const again = await repeat();
    const directory = age();
    const { times } = await look({ ...again, sentinel: undefined });
    expect(times).toHaveLength(1);
    expect(wasUsed(directory)).toBe(true);
  });

  it("are forgotten where a look finds that they compute no numbers, which is no fault of the model", async () => {
    const again = await repeat();
    const weights = join(age(), "weights");
    const { size } = statSync(weights);
    // As floats: not a number.
    writeFileSync(weights, Buffer.alloc(size, 0xff));
    const { times } = await look({ ...again, sentinel: undefined });
    expect(times).toHaveLength(1);
    expect(entries()).toEqual([]);
  });

  it("serve a short look, each block on its own", async () => {
    const profile: Profile = {
      ...first,
      sentinel: { blocks: [{ firstLayer: 2, lastLayer: 2, medianMs: 1 }] },
    };
    const before = await look(profile);
    expect(before.times).toHaveLength(1);
    const directory = age();
    expect(directory).toMatch(/-2-2$/);

    const after = await look(profile);
    expect(after.times[0]!.nowMs).toBeGreaterThan(0);
    expect(after.environment).toEqual(before.environment);
    expect(wasUsed(directory)).toBe(true);
  });

  it.each([
    ["a graph that is no graph", (entry: string) => writeFileSync(join(entry, "graph.onnx"), "no")],
    ["weights that are cut off", (entry: string) => truncateSync(join(entry, "weights"), 100)],
    ["a note that is no note", (entry: string) => writeFileSync(join(entry, "note.json"), "{")],
    ["a file that is missing", (entry: string) => rmSync(join(entry, "graph.onnx"))],
    [
      "blocks of another split",
      (entry: string) => {
        const file = join(entry, "note.json");
        const note = JSON.parse(readFileSync(file, "utf8")) as { kernels: { order: object } };
        note.kernels.order = { ...note.kernels.order, blocks: [[0, 4]] };
        writeFileSync(file, JSON.stringify(note));
      },
    ],
    [
      "blocks of other kernels",
      (entry: string) => {
        const file = join(entry, "note.json");
        writeFileSync(file, readFileSync(file, "utf8").replace("layer-0", "layer-7"));
      },
    ],
  ])("are made anew where they are damaged: %s", async (_, damage) => {
    await repeat();
    const directory = age();
    const sound = sizesIn(directory);
    damage(directory);
    expectGood(await repeat());
    expect(entries()).toHaveLength(1);
    expect(sizesIn(directory)).toEqual(sound);

    utimesSync(directory, LONG_AGO, LONG_AGO);
    expectGood(await repeat());
    expect(wasUsed(directory)).toBe(true);
  });

  it("are not those of a file that has changed", async () => {
    await repeat();
    const directory = age();
    const changed = heavyChain();
    path = models.write("heavy.onnx", { ...changed, nodes: changed.nodes.toReversed() });
    try {
      const profile = await repeat();
      expect(profile.model.sha256).not.toBe(first.model.sha256);
      expect(wasUsed(directory)).toBe(false);
    } finally {
      path = models.write("heavy.onnx", heavyChain());
    }
  });

  it("take no more space than they may, and what killed processes left goes with them", async () => {
    mkdirSync(join(keptDirectory, "draft-old"), { recursive: true });
    mkdirSync(join(keptDirectory, "draft-new"));
    utimesSync(join(keptDirectory, "draft-old"), LONG_AGO, LONG_AGO);
    expectGood(await repeat({ options: { ...OPTIONS, keptBytesMax: statSync(path).size } }));
    expect(entries()).toEqual(["draft-new"]);
  });

  it("are not even written where the model alone is too large", async () => {
    const keptBytesMax = statSync(path).size - 1;
    expectGood(await repeat({ options: { ...OPTIONS, keptBytesMax } }));
    expect(existsSync(keptDirectory)).toBe(false);
  });

  it("go where nothing is to be kept any longer", async () => {
    await repeat();
    expect(entries()).toHaveLength(1);
    expectGood(await repeat({ options: { ...OPTIONS, keptBytesMax: 0 } }));
    expect(entries()).toEqual([]);
  });

  it("make room beside a file that is none of them", async () => {
    mkdirSync(keptDirectory);
    writeFileSync(join(keptDirectory, "stray"), "");
    await repeat();
    const directory = entries().find((name) => name !== "stray")!;
    utimesSync(join(keptDirectory, directory), LONG_AGO, LONG_AGO);
    const sentinel = { blocks: [{ firstLayer: 2, lastLayer: 2, medianMs: 1 }] };
    const tight = { ...OPTIONS, keptBytesMax: bytesIn(join(keptDirectory, directory)) };
    await look({ ...first, sentinel }, tight);
    expect(entries()).not.toContain(directory);
  });

  it("are none where nothing can be kept", async () => {
    expectGood(await repeat({ into: join(path, "kept") }));
    expectGood(await repeat({ into: path }));
  });
});
