import { spawn, spawnSync } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import jsonata from "jsonata";
import { connectAsync } from "mqtt";
import { afterEach, describe, expect, it } from "vitest";
import type { Daemon } from "../../src/daemon/index.js";
import { watchProcess } from "../support/daemon-process.js";
import { until } from "../support/poll.js";
import { SITE, startDaemonAtSite } from "../support/site.js";

const EXAMPLES = join(import.meta.dirname, "../../examples");
const PYTHON = "/usr/bin/python3";
const hasPublisher = spawnSync("mosquitto_pub", ["--help"]).error === undefined;
const canPing = spawnSync("ping", ["-q", "-c", "1", "127.0.0.1"]).status === 0;
const hasToml = spawnSync(PYTHON, ["-c", "import tomllib"]).status === 0;

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

type Link = ReturnType<Daemon["status"]>["links"][number];
const linkOf = (daemon: Daemon, from: string, to: string): Link | undefined =>
  daemon.status().links.find((link) => link.from === from && link.to === to);

describe.skipIf(!hasPublisher)(
  "examples/router (skipped where mosquitto_pub is not installed)",
  () => {
    const IPUTILS = `PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data.

--- 127.0.0.1 ping statistics ---
5 packets transmitted, 4 received, 20% packet loss, time 4005ms
rtt min/avg/max/mdev = 11.021/12.500/14.058/0.012 ms
`;
    const BUSYBOX = `PING 127.0.0.1 (127.0.0.1): 56 data bytes

--- 127.0.0.1 ping statistics ---
5 packets transmitted, 5 packets received, 0% packet loss
round-trip min/avg/max = 0.064/37.250/90.076 ms
`;
    const SILENT = `PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data.

--- 127.0.0.1 ping statistics ---
5 packets transmitted, 0 received, +5 errors, 100% packet loss, time 4095ms

`;

    /** A `ping` that tells what the test wrote last. */
    async function fakePing(): Promise<{ path: string; tell(text: string): Promise<void> }> {
      const directory = await mkdtemp(join(tmpdir(), "scissiond-ping-"));
      cleanup.push(() => rm(directory, { recursive: true, force: true }));
      const told = join(directory, "told.txt");
      const ping = join(directory, "ping");
      await writeFile(ping, `#!/bin/sh\ncat '${told}'\ngrep -q '/max' '${told}'\n`);
      await chmod(ping, 0o755);
      return {
        path: `${directory}:${process.env["PATH"] ?? ""}`,
        tell: (text) => writeFile(told, text),
      };
    }

    function measure(daemon: Daemon, options: string[], path = process.env["PATH"]) {
      const { hostname, port } = new URL(daemon.broker);
      const broker = ["-h", hostname, "-p", port];
      const words = [...options, "-e", "0.1", SITE, "edge-1", "gpu-1", "127.0.0.1", ...broker];
      const child = spawn(join(EXAMPLES, "router/measure.sh"), words, {
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
        env: { ...process.env, PATH: path },
      });
      const running = watchProcess(child);
      cleanup.push(async () => {
        if (!running.exited()) process.kill(-running.pid, "SIGKILL");
        await running.ended;
      });
      return running;
    }

    it("reports what either ping says, an outage too, and nothing where nothing was measured", async () => {
      const { daemon } = await startDaemonAtSite(cleanup);
      const ping = await fakePing();
      await ping.tell(IPUTILS);
      const running = measure(daemon, [], ping.path);
      const link = (): Link | undefined => linkOf(daemon, "edge-1", "gpu-1");
      await until(() => link()?.rttMs === 12.5 && link()?.lossPercent === 20);
      expect(link()?.bandwidthMbps).toBeNull();
      await until(() => linkOf(daemon, "gpu-1", "edge-1")?.rttMs === 12.5);

      await ping.tell(BUSYBOX);
      // Both follow it; the daemon's own smoothing brings it there after some reports.
      await until(() => Math.abs((link()?.rttMs ?? 0) - 37.25) < 0.5);
      await ping.tell(SILENT);
      await until(() => link()?.lossPercent === 100);

      await ping.tell("ping: edge-7.lan: Name or service not known\n");
      await until(() => running.output().includes("ping of 127.0.0.1 measured nothing"));
      expect(running.exited()).toBe(false);
      await ping.tell(BUSYBOX);
      await until(() => link()?.lossPercent === 0);
    });

    it.skipIf(process.platform !== "linux")(
      "tells what the counters of a real interface leave of the line",
      async () => {
        const { daemon } = await startDaemonAtSite(cleanup);
        const ping = await fakePing();
        await ping.tell(IPUTILS);
        // The messages to the broker themselves go through the loopback: some of both lines is used.
        measure(daemon, ["-i", "lo", "-u", "40", "-d", "0.2"], ping.path);
        const rate = (from: string, to: string): number | null | undefined =>
          linkOf(daemon, from, to)?.bandwidthMbps;
        const up = await until(() => rate("edge-1", "gpu-1"));
        expect(up).toBeGreaterThanOrEqual(4);
        expect(up).toBeLessThan(40);
        // Full: a tenth is always to be had.
        const down = await until(() => rate("gpu-1", "edge-1"));
        expect(down).toBeGreaterThan(0.0199);
        expect(down).toBeLessThan(0.2);
      },
    );

    it.skipIf(!canPing)(
      "measures the loopback with the real ping (skipped where it is missing)",
      async () => {
        const { daemon } = await startDaemonAtSite(cleanup);
        measure(daemon, []);
        const link = await until(() => linkOf(daemon, "edge-1", "gpu-1"), { timeoutMs: 20_000 });
        expect(link.lossPercent).toBe(0);
        expect(link.rttMs).toBeLessThan(100);
      },
    );

    it("refuses an interface whose counters it cannot read", () => {
      const words = [
        "-i",
        "no-such0",
        "-u",
        "40",
        "-d",
        "40",
        SITE,
        "edge-1",
        "gpu-1",
        "127.0.0.1",
      ];
      const { status, stdout, stderr } = spawnSync(join(EXAMPLES, "router/measure.sh"), words, {
        encoding: "utf8",
        timeout: 10_000,
      });
      expect(status).toBe(2);
      expect(stdout).toBe("");
      expect(stderr).toMatch(/^measure\.sh: -i no-such0: .*counters/);
    });

    it("says how it is used", () => {
      const { status, stderr } = spawnSync(join(EXAMPLES, "router/measure.sh"), ["default"], {
        encoding: "utf8",
      });
      expect(status).toBe(2);
      expect(stderr).toMatch(/^measure\.sh .*SITE FROM TO ADDRESS/);
    });
  },
);

interface TelegrafConfig {
  inputs: { ping: { tags: Record<string, string> }[] };
  outputs: { mqtt: { topic: string; json_transformation: string; json_timestamp_units: string }[] };
}

/**
 * Telegraf itself is not run. What it hands to the transformation is the standard form of its JSON, here
 * with the fields that its ping documents; the transformation is evaluated by JSONata's own implementation.
 */
describe.skipIf(!hasToml)("examples/telegraf (skipped where Python has no tomllib)", () => {
  async function example() {
    const toml = await readFile(join(EXAMPLES, "telegraf/telegraf.conf"));
    const program = "import json, sys, tomllib; print(json.dumps(tomllib.load(sys.stdin.buffer)))";
    const { stdout } = spawnSync(PYTHON, ["-c", program], { input: toml, encoding: "utf8" });
    const { inputs, outputs } = JSON.parse(stdout) as TelegrafConfig;
    const [output] = outputs.mqtt;
    const tags: Record<string, string> = { url: "edge-1.lan", ...inputs.ping[0]!.tags };
    expect(output!.json_timestamp_units).toBe("1ms");
    const topic = output!.topic
      .replace("/default/", `/${SITE}/`)
      .replace(/\{\{ \.Tag "(\w+)" \}\}/g, (_, name: string) => tags[name] ?? "missing");
    const transformation = jsonata(output!.json_transformation);
    return {
      topic,
      message: async (fields: object): Promise<string> => {
        const metric = { fields, name: "ping", tags, timestamp: Date.now() };
        return JSON.stringify(await transformation.evaluate(metric));
      },
    };
  }

  it("yields reports that the daemon takes", async () => {
    const { daemon } = await startDaemonAtSite(cleanup);
    const { topic, message } = await example();
    const client = await connectAsync(daemon.broker);
    cleanup.push(() => client.endAsync(true));
    const publish = async (fields: object): Promise<void> => {
      await client.publishAsync(topic, await message(fields));
    };
    await publish({
      average_response_ms: 23.066,
      ttl: 63,
      maximum_response_ms: 24.64,
      minimum_response_ms: 22.451,
      packets_received: 4,
      packets_transmitted: 5,
      percent_packet_loss: 20,
      result_code: 0,
      standard_deviation_ms: 0.809,
    });
    const link = await until(() => linkOf(daemon, "cam-1", "edge-1"));
    expect(link).toMatchObject({ rttMs: 23.066, lossPercent: 20, bandwidthMbps: null });
    await publish({
      packets_received: 0,
      packets_transmitted: 5,
      percent_packet_loss: 100,
      result_code: 1,
    });
    await until(() => linkOf(daemon, "cam-1", "edge-1")?.lossPercent === 100);
  });

  it("yields what is refused where Telegraf measured nothing", async () => {
    const { daemon } = await startDaemonAtSite(cleanup);
    const { topic, message } = await example();
    const client = await connectAsync(daemon.broker);
    cleanup.push(() => client.endAsync(true));
    await client.publishAsync(topic, await message({ result_code: 2 }), { qos: 1 });
    const refused = async (): Promise<boolean> => {
      const answer = await fetch(`http://127.0.0.1:${daemon.port}/metrics`);
      return /cause="malformed"} 1\b/.test(await answer.text());
    };
    await until(refused);
    expect(linkOf(daemon, "cam-1", "edge-1")).toBeUndefined();
  });
});
