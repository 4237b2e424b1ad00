import { spawn, spawnSync } from "node:child_process";
import { mkdir, open, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { Status } from "../../src/protocol/index.js";
import {
  freePort,
  kill,
  killedBy,
  type RunningProcess,
  statusAt,
  watchProcess,
} from "../support/daemon-process.js";
import { until } from "../support/poll.js";
import { startSite, writeSite } from "../support/site.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
/** A first plan follows several measurements, which takes long beside other work. */
const WAIT = { timeoutMs: 150_000 };
const CHUNK = Buffer.alloc(4_096, 1);
const canMount = spawnSync("unshare", ["-m", "true"]).status === 0;

const GOOD = { uplink: 100, direct: 100, backbone: 100 };
const BAD = { uplink: 0.01, direct: 0.01, backbone: 100 };

describe("a daemon whose disk fills", () => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  const run = (command: string, ...words: string[]): RunningProcess =>
    killedBy(cleanup, watchProcess(spawn(command, words, { stdio: ["ignore", "pipe", "pipe"] })));

  /** The state directory is a file system of its own, of few megabytes, that only `holder` sees. */
  async function start() {
    const [http, broker] = [await freePort(), await freePort()];
    const files = await writeSite({
      listen: { port: http },
      mqtt: { broker: { port: broker }, reconnect: { minMs: 20, maxMs: 50 } },
    });
    cleanup.push(() => files.remove());
    const state = join(files.directory, "state");
    await mkdir(state);
    const script = `mount -t tmpfs -o size=8m none '${state}'; echo mounted; exec sleep 1000`;
    const holder = run("unshare", "-m", "sh", "-ec", script);
    await until(() => holder.output().includes("mounted"), WAIT);
    const daemon = (): RunningProcess => {
      const command = [process.execPath, MAIN, "run", "--config", files.configPath];
      return run("nsenter", "-t", String(holder.pid), "-m", ...command);
    };
    const status = () => statusAt(`http://127.0.0.1:${http}`);
    const site = await startSite(`mqtt://127.0.0.1:${broker}`);
    cleanup.push(() => site.stop());
    return { daemon, status, site, filler: `/proc/${holder.pid}/root${state}/filler` };
  }

  const planOf = (status: Status | undefined) => status?.pipelines[0]?.plan ?? undefined;

  it.skipIf(!canMount)(
    "serves the last good plan, says so, and goes on when there is room",
    async () => {
      const { daemon, status, site, filler } = await start();
      const first = daemon();
      site.setLinks(GOOD);
      const good = await until(
        async () => {
          const plan = planOf(await status());
          return plan?.partitions.some(({ node }) => node === "gpu-1") === true ? plan : undefined;
        },
        { ...WAIT, what: "a plan on the cloud" },
      );
      await fill(filler);
      site.setLinks(BAD);
      await until(
        async () => (await status())?.problems.some((problem) => problem.includes("ENOSPC")),
        { ...WAIT, what: "the problem in the status" },
      );
      const during = await status();
      expect(planOf(during)).toEqual(good);
      expect(during?.profiles.map(({ node }) => node).sort()).toEqual(["cam-1", "edge-1", "gpu-1"]);
      expect(first.output()).toContain("ENOSPC");

      // Killed and started again on the full disk: what was good is still there.
      await kill(first);
      daemon();
      const after = await until(async () => planOf(await status()), { ...WAIT, what: "a plan" });
      expect(after).toEqual(good);

      await rm(filler);
      const better = await until(
        async () => {
          const now = await status();
          const plan = planOf(now);
          const isNew = plan !== undefined && plan.revision > good.revision;
          return isNew && !now?.problems.some((text) => text.includes("ENOSPC")) ? plan : undefined;
        },
        { ...WAIT, what: "another plan once there is room" },
      );
      expect(better.partitions.map(({ node }) => node)).not.toContain("gpu-1");
    },
    600_000,
  );
});

/** Takes what room there is, to the last page. */
async function fill(path: string): Promise<void> {
  const file = await open(path, "w");
  try {
    for (;;) await file.write(CHUNK);
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC");
  } finally {
    await file.close();
  }
}
