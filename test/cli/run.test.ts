import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePort, kill, type RunningProcess, spawnScissiond } from "../support/daemon-process.js";
import { until } from "../support/poll.js";
import { siteYaml, writeSite } from "../support/site.js";

let site: Awaited<ReturnType<typeof writeSite>>;
let port: number;
let daemon: RunningProcess | undefined;

beforeEach(async () => {
  port = await freePort();
  site = await writeSite({ listen: { port } });
  // Records what would go to systemd.
  const notify = join(site.directory, "systemd-notify");
  await writeFile(notify, '#!/bin/sh\nfor word in "$@"; do echo "$word"; done >> "$RECORD"\n');
  await chmod(notify, 0o755);
});
afterEach(async () => {
  if (daemon !== undefined) await kill(daemon);
  await site.remove();
});

function start(): RunningProcess {
  daemon = spawnScissiond(["run", "--config", site.configPath], {
    NOTIFY_SOCKET: "/run/systemd/notify",
    RECORD: join(site.directory, "record"),
    PATH: `${site.directory}:${process.env["PATH"] ?? ""}`,
  });
  return daemon;
}

async function messages(): Promise<string[]> {
  const text = await readFile(join(site.directory, "record"), "utf8").catch(() => "");
  return text.trim().split("\n");
}

const readyCount = async (): Promise<number> =>
  (await messages()).filter((message) => message === "READY=1").length;

/** The status line that came with the daemon's `count`-th READY=1; both are one notification, written line by line. */
async function statusOfReady(count: number): Promise<string> {
  let last = "";
  await until(async () => {
    last = (await messages()).at(-1) ?? "";
    return (await readyCount()) === count && last.startsWith("STATUS=");
  });
  return last;
}

describe("scissiond run", () => {
  it("is ready when it serves, reloads, keeps its configuration where the new one is bad, and stops", async () => {
    const running = start();
    await until(async () => (await readyCount()) === 1, { timeoutMs: 20_000 });
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
    expect(answer.status).toBe(200);

    await writeFile(
      site.configPath,
      siteYaml({ listen: { port }, thresholds: { holdSeconds: 7 } }),
    );
    running.signal("SIGHUP");
    expect(await statusOfReady(2)).toBe(
      `STATUS=serving on port ${port}, broker ${brokerOf(await messages())}`,
    );

    await writeFile(site.configPath, "listen: {prot: 1}\n");
    running.signal("SIGHUP");
    expect(await statusOfReady(3)).toContain("the old one stays in force");
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    expect(metrics).toContain("\nscission_config_last_reload_successful 0\n");
    expect(running.output()).toContain('did you mean \\"port\\"?');

    running.signal("SIGTERM");
    expect(await running.ended).toBe(0);
    expect((await messages()).at(-1)).toBe("STOPPING=1");
  });

  it("ends with 78 and every error where the file is bad", async () => {
    await writeFile(site.configPath, "listen: {prot: 1}\nsitte: x\n");
    const running = start();
    expect(await running.ended).toBe(78);
    expect(running.output()).toMatch(
      /2 errors .*listen.prot: unknown key.*\n.*sitte: unknown key/s,
    );
  });

  it("ends with 1 and the reason where the port is taken", async () => {
    const first = start();
    await until(async () => (await readyCount()) === 1, { timeoutMs: 20_000 });
    await writeFile(site.configPath, siteYaml({ listen: { port }, stateDirectory: "other" }));
    const second = spawnScissiond(["run", "--config", site.configPath]);
    expect(await second.ended).toBe(1);
    expect(second.output()).toContain(String(port));
    first.signal("SIGTERM");
    expect(await first.ended).toBe(0);
  });

  it("ends with 1 where another daemon uses the state directory", async () => {
    start();
    await until(async () => (await readyCount()) === 1, { timeoutMs: 20_000 });
    await writeFile(site.configPath, siteYaml());
    const second = spawnScissiond(["run", "--config", site.configPath]);
    expect(await second.ended).toBe(1);
    expect(second.output()).toContain("is in use: process");
  });
});

function brokerOf(lines: readonly string[]): string {
  return /broker (\S+)$/.exec(lines.find((line) => line.startsWith("STATUS=")) ?? "")?.[1] ?? "";
}
