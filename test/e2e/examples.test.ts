import { spawn, spawnSync } from "node:child_process";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { Decision } from "../../src/protocol/index.js";
import { tokenClient } from "../support/clients.js";
import {
  freePort,
  kill,
  killedBy,
  livesAt,
  type RunningProcess,
  spawnScissiond,
  watchProcess,
} from "../support/daemon-process.js";
import { until } from "../support/poll.js";
import { SITE, type Site, startSite, writeSite } from "../support/site.js";

const EXAMPLES = join(import.meta.dirname, "../../examples");
/** Debian's, which has Debian's packages. */
const PYTHON = "/usr/bin/python3";
const GOOD = { uplink: 100, direct: 100, backbone: 100 };
const POOR = { uplink: 0.01, direct: 0.01, backbone: 100 };
const ADMIN = "admin-token";

const works = (command: string, ...words: string[]): boolean =>
  spawnSync(command, words, { stdio: "ignore" }).error === undefined;
const hasWebsockets = spawnSync(PYTHON, ["-c", "import websockets"]).status === 0;

interface Told {
  event: string;
  revision?: number;
  revisions?: Record<string, number>;
  reason?: string;
  /** This node's part of the plan. */
  layers?: string[];
}

interface Running {
  url: string;
  directory: string;
  broker: number;
  site: Site;
  daemon: RunningProcess;
  start(): Promise<RunningProcess>;
}

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

async function startAll(): Promise<Running> {
  const [http, broker] = [await freePort(), await freePort()];
  const files = await writeSite({
    listen: {
      port: http,
      clients: [
        tokenClient("admin", "admin"),
        tokenClient("cam-1", "runtime", { nodes: ["cam-1"] }),
        tokenClient("gpu-1", "runtime", { nodes: ["gpu-1"] }),
      ],
    },
    mqtt: { broker: { port: broker }, reconnect: { minMs: 50, maxMs: 200 } },
  });
  cleanup.push(() => files.remove());
  const url = `http://127.0.0.1:${http}`;
  const start = async (): Promise<RunningProcess> => {
    const daemon = killedBy(cleanup, spawnScissiond(["run", "--config", files.configPath]));
    await until(() => livesAt(url), { timeoutMs: 20_000, what: "the daemon" });
    return daemon;
  };
  const daemon = await start();
  const site = await startSite(`mqtt://127.0.0.1:${broker}`);
  cleanup.push(() => site.stop());
  return { url, directory: files.directory, broker, site, daemon, start };
}

/** Runs an example in a process group of its own, as a shell would, and reads its lines. */
function startExample(command: string, words: readonly string[]): { lines: () => string[] } {
  const child = spawn(command, words, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  const running = watchProcess(child);
  cleanup.push(async () => {
    if (!running.exited()) process.kill(-running.pid, "SIGKILL");
    await running.ended;
  });
  return {
    lines: () => {
      if (running.exited()) throw new Error(`the example has ended: ${running.output()}`);
      return running.output().split("\n").slice(0, -1);
    },
  };
}

describe.skipIf(!hasWebsockets)(
  "examples/python (skipped where python3-websockets is not installed)",
  () => {
    async function runtime({ url, directory }: Running, node: string) {
      const models = join(directory, `models-${node}`);
      const tokenFile = join(directory, `${node}.token`);
      await writeFile(tokenFile, `${node}-token\n`);
      const where = ["--url", url, "--models", models, "--token-file", tokenFile];
      const script = join(EXAMPLES, "python/subscriber.py");
      const example = startExample(PYTHON, [script, "--node", node, ...where]);
      const told = (): Told[] => example.lines().map((line) => JSON.parse(line) as Told);
      return {
        models,
        told,
        /** Waits for this event of a later revision than `after`. */
        next: (event: string, after = 0): Promise<number> =>
          until(
            () =>
              told().find((one) => one.event === event && (one.revision ?? 0) > after)?.revision,
            { timeoutMs: 30_000, what: `${event} after ${after} on ${node}` },
          ),
      };
    }

    it("prepares, switches, retires and resumes as a runtime of the real daemon", async () => {
      const all = await startAll();
      all.site.setLinks(GOOD);
      const [camera, server] = [await runtime(all, "cam-1"), await runtime(all, "gpu-1")];
      const first = await until(
        () => server.told().find(({ layers }) => layers?.length === 1)?.revision,
        { timeoutMs: 30_000, what: "a plan on the cloud" },
      );
      await camera.next("in-force", first - 1);
      expect(await readdir(server.models)).not.toEqual([]);

      all.site.setLinks(POOR);
      const second = await camera.next("in-force", first);
      expect(await camera.next("ready", first)).toBe(second);
      expect(await camera.next("retire", first)).toBe(second);
      expect(await readdir(camera.models)).toHaveLength(1);
      // The cloud runs nothing of it: it is told, and was not asked.
      expect(await server.next("in-force", first)).toBe(second);

      all.site.setLinks(GOOD);
      const third = await server.next("ready", second);
      expect(await camera.next("ready", second)).toBe(third);
      expect(await server.next("in-force", second)).toBe(third);
      expect(await server.next("retire", second)).toBe(third);

      await kill(all.daemon);
      await until(() => server.told().some(({ event }) => event === "disconnected"));
      await all.start();
      const resumed = (): boolean =>
        [camera, server].every(
          ({ told }) => told().filter(({ event }) => event === "snapshot").length === 2,
        );
      await until(resumed, { timeoutMs: 30_000, what: "a second snapshot at both" });
      expect(server.told().findLast(({ event }) => event === "snapshot")?.revisions).toEqual({
        "vision-cam-1": third,
      });
      all.site.setLinks(POOR);
      await server.next("in-force", third);
      expect(await camera.next("retire", third)).toBe(await camera.next("ready", third));
      const revisions = server
        .told()
        .flatMap((one) => (one.event === "in-force" ? one.revision! : []));
      expect(revisions).toEqual([...new Set(revisions)].sort((one, other) => one - other));
    }, 120_000);

    it("rejects a plan whose partition it cannot keep", async () => {
      const all = await startAll();
      all.site.setLinks(POOR);
      const server = await runtime(all, "gpu-1");
      const first = await server.next("in-force");
      await rm(server.models, { recursive: true });
      await writeFile(server.models, "no directory");
      all.site.setLinks(GOOD);
      expect(await server.next("reject", first)).toBeGreaterThan(first);
      const isAborted = async (): Promise<Decision | undefined> => {
        const headers = { authorization: `Bearer ${ADMIN}` };
        const answer = await fetch(`${all.url}/api/v1/decisions`, { headers });
        const { decisions } = (await answer.json()) as { decisions: Decision[] };
        return decisions.find(({ verdict }) => verdict === "aborted");
      };
      const decision = await until(isAborted, { what: "an aborted rollout" });
      expect(decision.summary).toMatch(/gpu-1 rejected it: .*Not a directory/);
    }, 60_000);
  },
);

describe.skipIf(!works("mosquitto_sub", "--help"))(
  "examples/mqtt (skipped where mosquitto_sub is not installed)",
  () => {
    it("follows the plans of a pipeline, also over a restart of the daemon", async () => {
      const all = await startAll();
      const script = join(EXAMPLES, "mqtt/follow.sh");
      const where = ["-h", "127.0.0.1", "-p", String(all.broker)];
      const { lines } = startExample(script, [SITE, "vision-cam-1", ...where]);
      all.site.setLinks(GOOD);
      const line = (pattern: RegExp): Promise<string> =>
        until(() => lines().find((each) => pattern.test(each)), {
          timeoutMs: 30_000,
          what: `a line like ${pattern}`,
        });
      await line(/^vision-cam-1: revision \d+, [\d.]+ ms, gpu-1:0-5 $/);
      all.site.setLinks(POOR);
      await line(/^vision-cam-1: revision \d+, [\d.]+ ms, cam-1:0-5 $/);
      await kill(all.daemon);
      const before = lines().length;
      await all.start();
      all.site.setLinks(GOOD);
      await until(() => lines().length > before && lines().at(-1)?.includes("gpu-1"), {
        timeoutMs: 30_000,
        what: "a plan after the restart",
      });
      const revisions = lines().map((each) => Number(/revision (\d+)/.exec(each)?.[1]));
      expect(revisions).toEqual([...new Set(revisions)].sort((one, other) => one - other));
    }, 120_000);
  },
);
