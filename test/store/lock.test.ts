import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isAppError, silentLogger } from "../../src/core/index.js";
import { openStore, type Store, storeOptionsSchema } from "../../src/store/index.js";
import { ManualClock } from "../support/manual-clock.js";
import { until } from "../support/poll.js";

const PID_MAX_UNUSED = 4_194_304;

let directory: string;
const stores: Store[] = [];
let ids = 0;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "scissiond-lock-"));
});
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.stop()));
  await rm(directory, { recursive: true });
});

async function open(): Promise<Store> {
  const store = await openStore(
    { ...storeOptionsSchema.parse({}), directory },
    { log: silentLogger, clock: new ManualClock(), newId: () => `id-${(ids += 1)}` },
  );
  stores.push(store);
  return store;
}

const lockPath = (): string => join(directory, "lock.1");
const isLocked = (promise: Promise<unknown>): Promise<boolean> =>
  promise.then(
    () => false,
    (error: unknown) => isAppError(error, "STORE_LOCKED"),
  );

/** Boot id and start time of a process, as the lock names them. */
async function identity(pid: number): Promise<{ bootId: string; startTicks: string }> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const bootId = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
  const startTicks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  return { bootId: bootId.trim(), startTicks };
}

describe("the lock of the state directory", () => {
  it("keeps a second store out, for as long as the first lives", async () => {
    const first = await open();
    expect(await isLocked(open())).toBe(true);
    await first.stop();
    await first.stop();
    await open();
  });

  it("lets exactly one of many in", async () => {
    const attempts = await Promise.allSettled(Array.from({ length: 8 }, () => open()));
    expect(attempts.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("lets exactly one of many take over a stale one", async () => {
    await symlink(`${(await identity(process.pid)).bootId}:${PID_MAX_UNUSED}:1:x`, lockPath());
    const attempts = await Promise.allSettled(Array.from({ length: 8 }, () => open()));
    expect(attempts.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("of a killed process is taken over", async () => {
    const child = spawn("sleep", ["600"]);
    const pid = child.pid ?? 0;
    const { bootId, startTicks } = await identity(pid);
    await symlink(`${bootId}:${pid}:${startTicks}:token`, lockPath());
    expect(await isLocked(open())).toBe(true);
    child.kill("SIGKILL");
    await until(() => child.signalCode !== null);
    await open();
  });

  it("of a pid that another process got since, or of an earlier boot, is taken over", async () => {
    const { bootId, startTicks } = await identity(process.pid);
    const stale = [
      `${bootId}:${process.pid}:${Number(startTicks) - 1}:t`,
      `00000000-0000-0000-0000-000000000000:${process.pid}:${startTicks}:t`,
      "garbage",
      "../../etc/passwd:..:..",
    ];
    for (const target of stale) {
      await symlink(target, lockPath());
      await (await open()).stop();
      expect(await readdir(directory)).not.toContain(basename(lockPath()));
    }
  });

  it("that is no link of ours is respected, with its path in the message", async () => {
    await writeFile(lockPath(), "somebody's");
    await expect(open()).rejects.toThrow(lockPath());
    expect(await readFile(lockPath(), "utf8")).toBe("somebody's");
  });

  it("is never held twice, in whatever order many take and give it back", async () => {
    let holders = 0;
    let holdersMax = 0;
    let taken = 0;
    const contend = async (): Promise<void> => {
      for (let round = 0; round < 25; round += 1) {
        const store = await open().catch(() => undefined);
        if (store === undefined) continue;
        taken += 1;
        holders += 1;
        holdersMax = Math.max(holdersMax, holders);
        await readdir(directory);
        holders -= 1;
        await store.stop();
      }
    };
    await symlink("stale", lockPath());
    await Promise.all(Array.from({ length: 6 }, contend));
    expect(holdersMax).toBe(1);
    expect(taken).toBeGreaterThan(0);
  });

  it("is given back only by its holder", async () => {
    const store = await open();
    await rm(lockPath());
    await symlink("another", lockPath());
    await store.stop();
    expect(await readlink(lockPath())).toBe("another");
  });
});
