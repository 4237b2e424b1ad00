import { spawnSync } from "node:child_process";
import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { serviceManager } from "../../src/cli/systemd.js";
import { silentLogger } from "../../src/core/index.js";
import { makeFastDirectory } from "../support/fast-directory.js";
import { ManualClock } from "../support/manual-clock.js";
import { until } from "../support/poll.js";

const UNITS = join(import.meta.dirname, "../../systemd");
const PID = 4_242;

let directory: string;
let clock: ManualClock;
beforeEach(async () => {
  directory = await makeFastDirectory("scissiond-systemd-");
  clock = new ManualClock();
  // Stands in for systemd-notify: a datagram socket to receive the real one's messages is beyond Node.
  await fakeNotify('for word in "$@"; do echo "$word"; done >> "$RECORD"');
});
afterEach(() => rm(directory, { recursive: true }));

async function fakeNotify(script: string): Promise<void> {
  const path = join(directory, "systemd-notify");
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}

const record = (): string => join(directory, "record");
async function messages(): Promise<string[]> {
  const text = await readFile(record(), "utf8").catch(() => "");
  return text.split("\n").filter((line) => line !== "");
}

function manager(env: Record<string, string> = {}) {
  const always = { NOTIFY_SOCKET: "/run/systemd/notify", PATH: directory, RECORD: record() };
  return serviceManager({ log: silentLogger, clock, env: { ...always, ...env }, pid: PID });
}

describe("sd_notify", () => {
  it("tells systemd what the program does", async () => {
    const systemd = manager();
    await systemd.ready("serving on port 8420\nREADY=0");
    await systemd.reloading();
    await systemd.status("working");
    await systemd.stopping();
    expect(await messages()).toEqual([
      "READY=1",
      "STATUS=serving on port 8420 READY=0",
      "RELOADING=1",
      expect.stringMatching(/^MONOTONIC_USEC=[0-9]+$/),
      "STATUS=working",
      "STOPPING=1",
    ]);
  });

  it("does nothing where systemd did not start the program", async () => {
    await manager({ NOTIFY_SOCKET: "" }).ready("x");
    expect(await messages()).toEqual([]);
  });

  it.each([
    ["is missing", () => rm(join(directory, "systemd-notify"))],
    ["fails", () => fakeNotify("exit 1")],
  ])("does not disturb the program where systemd-notify %s", async (_what, arrange) => {
    await arrange();
    await expect(manager().ready("x")).resolves.toBeUndefined();
  });
});

describe("the watchdog", () => {
  const WATCHED = { WATCHDOG_USEC: "30000000", WATCHDOG_PID: String(PID) };

  it("is pinged three times an interval, for as long as work progresses", async () => {
    const stop = new AbortController();
    let healthy = true;
    const done = manager(WATCHED).keepAlive(() => healthy, stop.signal);
    await until(async () => (await messages()).length === 1 && clock.sleeping === 1);
    clock.advance(9_999);
    expect(clock.sleeping).toBe(1);
    clock.advance(1);
    await until(async () => (await messages()).length === 2 && clock.sleeping === 1);
    healthy = false;
    clock.advance(10_000);
    await until(() => clock.sleeping === 1);
    expect(await messages()).toEqual(["WATCHDOG=1", "WATCHDOG=1"]);
    healthy = true;
    clock.advance(10_000);
    await until(async () => (await messages()).length === 3);
    stop.abort();
    await done;
  });

  it.each([
    ["no watchdog is set", {}],
    ["it is for another process", { ...WATCHED, WATCHDOG_PID: "1" }],
    ["its interval is no number", { ...WATCHED, WATCHDOG_USEC: "soon" }],
  ])("is left alone where %s", async (_what, env: Record<string, string>) => {
    await manager(env).keepAlive(() => true, new AbortController().signal);
    expect(await messages()).toEqual([]);
  });
});

const hasAnalyze = spawnSync("systemd-analyze", ["--version"]).status === 0;

describe.skipIf(!hasAnalyze).each(["scissiond.service", "scissiond-agent.service"])(
  "systemd/%s",
  (name) => {
    it("has nothing that systemd-analyze verify objects to", async () => {
      const unit = await readFile(join(UNITS, name), "utf8");
      const path = join(directory, name);
      // The program need not be installed where the tests run.
      await writeFile(path, unit.replace("/usr/bin/scissiond ", "/bin/true "));
      const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", path], {
        encoding: "utf8",
      });
      expect(stderr).toBe("");
      expect(status).toBe(0);
    });

    it("is exposed by no more than 2.0 of 10", () => {
      const args = [
        "security",
        "--offline=true",
        "--threshold=20",
        "--no-pager",
        join(UNITS, name),
      ];
      const { status, stdout } = spawnSync("systemd-analyze", args, { encoding: "utf8" });
      expect(status, stdout).toBe(0);
    });

    it("leaves the engine and the view of the processor alone", async () => {
      const unit = await readFile(join(UNITS, name), "utf8");
      expect(unit).not.toMatch(/^(MemoryDenyWriteExecute|ProcSubset|CPUQuota)=/m);
      expect(unit).toMatch(/^RestrictAddressFamilies=.*AF_NETLINK/m);
      expect(unit).toMatch(/^NotifyAccess=all$/m);
    });
  },
);
