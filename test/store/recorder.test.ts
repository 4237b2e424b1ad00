import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger, systemClock } from "../../src/core/index.js";
import { type Recorded, recordSchema } from "../../src/protocol/index.js";
import { startRecorder } from "../../src/store/index.js";

const DEPS = { log: silentLogger, clock: systemClock };
const sample = (at: number): Recorded => ({
  kind: "link",
  at,
  from: "cam-1",
  to: "edge-1",
  bandwidthMbps: 4.7,
});

describe("the recorder", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "scissiond-recorder-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const options = (change = {}) => ({ directory, fileBytesMax: 4_096, filesMax: 3, ...change });
  const lines = async (name: string): Promise<Recorded[]> =>
    (await readFile(join(directory, name), "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => recordSchema.parse(JSON.parse(line)));

  it("appends what it is given, in order, and goes on where it was stopped", async () => {
    for (const start of [0, 100]) {
      const recorder = await startRecorder(options(), DEPS);
      for (let at = start; at < start + 10; at += 1) recorder.write(sample(at));
      await recorder.stop();
    }
    const times = (await lines("recording.jsonl")).map(({ at }) => at);
    expect(times).toHaveLength(20);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it("keeps so many files of so many bytes, the newest", async () => {
    for (let round = 0; round < 12; round += 1) {
      const recorder = await startRecorder(options(), DEPS);
      for (let index = 0; index < 20; index += 1) recorder.write(sample(round * 20 + index));
      await recorder.stop();
    }
    const names = (await readdir(directory)).sort();
    expect(names).toEqual(["recording.1.jsonl", "recording.2.jsonl", "recording.jsonl"]);
    for (const name of names) {
      expect((await stat(join(directory, name))).size).toBeLessThanOrEqual(4_096);
    }
    expect((await lines("recording.jsonl")).at(-1)?.at).toBe(239);
  });

  it("drops and counts what the disk does not take, and never more than fits in memory", async () => {
    await writeFile(join(directory, "file"), "");
    const recorder = await startRecorder(options(), DEPS);
    for (let at = 0; at < 100_000; at += 1) recorder.write(sample(at));
    expect(recorder.dropped()).toBe(90_000);
    await rm(directory, { recursive: true });
    await recorder.stop();
    expect(recorder.dropped()).toBe(100_000);
    await writeFile(directory, "");
    await expect(startRecorder(options(), DEPS)).rejects.toMatchObject({
      code: "STORE_WRITE_FAILED",
    });
  });
});
