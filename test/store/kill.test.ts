import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { seededRandom } from "../../src/core/index.js";
import { makeFastDirectory } from "../support/fast-directory.js";

const WRITER = join(import.meta.dirname, "../support/store-writer.js");
const ROUNDS = 50;
const UPDATES_MAX = 30;
const DELAY_MS_MAX = 5;
/** strace counts the calls of each thread by itself. */
const ONE_IO_THREAD = { ...process.env, UV_THREADPOOL_SIZE: "1" };
const hasStrace = spawnSync("strace", ["-V"]).status === 0;
const execute = promisify(execFile);

let directory: string;
beforeEach(async () => {
  directory = await makeFastDirectory("scissiond-kill-");
});
afterEach(() => rm(directory, { recursive: true }));

/** What a writer said before it ended: what it found, and the highest revision it was acknowledged. */
interface Report {
  epoch: string;
  found: number;
  notice: string;
  acknowledged: number;
}

function reportOf(lines: readonly string[]): Report {
  const words = lines.map((line) => line.split(" "));
  const [, epoch = "", found = "", notice = ""] = words.find(([verb]) => verb === "opened") ?? [];
  const acknowledged = words.filter(([verb]) => verb === "acknowledged").at(-1)?.[2] ?? found;
  return { epoch, found: Number(found), notice, acknowledged: Number(acknowledged) };
}

/** Runs a writer on the directory until it has acknowledged so many, then kills it a moment later. */
async function killAfter(acknowledgements: number, delayMs: number): Promise<Report> {
  const child: ChildProcess = spawn(process.execPath, [WRITER, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout! })) {
    lines.push(line);
    // The opening is the first line, so this is as many acknowledgements.
    if (lines.length === acknowledgements + 1) setTimeout(() => child.kill("SIGKILL"), delayMs);
  }
  return reportOf(lines);
}

describe("kill -9 while the store writes", () => {
  it(`at ${ROUNDS} random moments loses nothing acknowledged and uses no revision twice`, async () => {
    const seed = 20_301_123;
    const random = seededRandom(seed);
    let before: Report = { epoch: "", found: 0, notice: "well", acknowledged: 0 };
    for (let round = 0; round < ROUNDS; round += 1) {
      const acknowledgements = Math.floor(random() * UPDATES_MAX) + 1;
      const report = await killAfter(acknowledgements, random() * DELAY_MS_MAX);
      const told = `seed ${seed}, round ${round}`;
      expect(report.notice, told).toBe("well");
      expect(report.found, told).toBeGreaterThanOrEqual(before.acknowledged);
      // At most the one write that was under way is there without having been acknowledged.
      expect(report.found, told).toBeLessThanOrEqual(before.acknowledged + 1);
      if (before.epoch !== "") expect(report.epoch, told).toBe(before.epoch);
      before = report;
    }
    // The last writer leaves at most one temporary file of each copy.
    const left = (await readdir(directory)).filter((name) => /tmp|corrupt/.test(name));
    expect(left.length).toBeLessThanOrEqual(2);
  }, 120_000);

  /**
   * The opening makes two fsyncs, of the file ahead and of the directory. An update writes to it, which
   * flushes it as well, and is followed by three more fsyncs and two renames, for the copies.
   */
  const moments = [
    ...[1, 2, 3, 4].map((count) => ["rename", count] as const),
    ...[1, 2, 3, 4, 5, 6, 7, 8].map((count) => ["fsync", count] as const),
    ...[1, 2, 3, 4].map((count) => ["pwrite64", count] as const),
  ];
  it.skipIf(!hasStrace).each(moments)(
    "at its %s number %i leaves the old state or the new one",
    async (call, count) => {
      const inject = `inject=${call}:signal=KILL:when=${count}`;
      const command = [
        "-f",
        "-o",
        "/dev/null",
        "-e",
        inject,
        process.execPath,
        WRITER,
        directory,
        "3",
      ];
      const killed = await execute("strace", command, { env: ONE_IO_THREAD }).catch(
        (error: unknown) => error as { stdout: string },
      );
      const before = reportOf(killed.stdout.trim().split("\n"));
      const { stdout } = await execute(process.execPath, [WRITER, directory, "1"]);
      const after = reportOf(stdout.trim().split("\n"));
      expect(before.acknowledged).toBeLessThan(3);
      expect([before.acknowledged, before.acknowledged + 1]).toContain(after.found);
      expect(after.notice).toBe("well");
      if (before.acknowledged > 0) expect(after.epoch).toBe(before.epoch);
      expect(after.acknowledged).toBe(after.found + 1);
      expect((await readdir(directory)).sort()).toEqual([
        "state.json",
        "state.json.ahead",
        "state.json.bak",
      ]);
    },
  );
});

describe("the file ahead", () => {
  it.skipIf(!hasStrace)("is written with each write flushed", async () => {
    const log = join(directory, "calls");
    const command = [
      "-f",
      "-o",
      log,
      "-e",
      "trace=openat",
      process.execPath,
      WRITER,
      directory,
      "1",
    ];
    await execute("strace", command, { env: ONE_IO_THREAD });
    const opened = (await readFile(log, "utf8"))
      .split("\n")
      .filter((line) => line.includes("state.json.ahead"));
    expect(opened.at(-1)).toContain("O_DSYNC");
  });
});

const mount = spawnSync("unshare", ["-m", "true"]).status === 0;

describe("a full disk", () => {
  it.skipIf(!mount)(
    "is an error that leaves the old state, and the store opens on it",
    async () => {
      // A file system of 64 KiB, in a mount namespace of its own; the writer fills it itself.
      const script = [
        `mount -t tmpfs -o size=64k none ${directory}`,
        `${process.execPath} ${WRITER} ${directory} 3`,
        `head -c 64k /dev/zero > ${directory}/filler 2>/dev/null || true`,
        `${process.execPath} ${WRITER} ${directory} 1 2>&1 || true`,
        `rm ${directory}/filler`,
        `${process.execPath} ${WRITER} ${directory} 1`,
      ].join("\n");
      const { stdout } = await execute("unshare", ["-m", "sh", "-ec", script]);
      const lines = stdout.trim().split("\n");
      expect(
        lines.filter((line) => line.startsWith("opened")).map((line) => line.split(" ")[2]),
      ).toEqual(["0", "3", "3"]);
      expect(stdout).toMatch(/STORE_WRITE_FAILED/);
      expect(stdout).toMatch(/ENOSPC/);
      expect(lines.at(-1)).toMatch(/^acknowledged \S+ 4$/);
    },
  );
});
