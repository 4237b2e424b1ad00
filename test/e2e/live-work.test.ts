import { afterEach, describe, expect, it } from "vitest";
import { readHostId } from "../../src/benchmark/index.js";
import { subscribe } from "../../src/client/index.js";
import { seededRandom, silentLogger, systemClock } from "../../src/core/index.js";
import type { NodeState } from "../../src/protocol/index.js";
import { connectTelemetry, mqttOptionsSchema } from "../../src/telemetry/index.js";
import { until } from "../support/poll.js";
import { runDaemon, SITE, writeSite } from "../support/site.js";

const STATE: NodeState = {
  node: "cam-1",
  status: "online",
  bootId: "b",
  tier: "device",
  hardwareClass: "camera",
  version: "test",
  logicalCores: 1,
  memoryBytes: 1,
  emulatedSlowdown: 1,
  models: [],
};

describe("live work on a node that is benchmarked", () => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  it("is told to the agent, whose progress the status shows", async () => {
    const files = await writeSite();
    cleanup.push(() => files.remove());
    const daemon = await runDaemon(files.configPath);
    cleanup.push(() => daemon.stop());
    const yields: unknown[] = [];
    let model: { name: string; sha256: string } | undefined;
    // An agent whose benchmark never ends.
    const agent = await connectTelemetry(
      mqttOptionsSchema.parse({ url: daemon.broker }),
      { site: SITE, state: { ...STATE, hostId: (await readHostId())! }, role: "agent" },
      {
        log: silentLogger,
        clock: systemClock,
        random: seededRandom(1),
        handlers: {
          commands: new Map([
            [
              "benchmark",
              (command) => {
                model = (command as unknown as { model: typeof model }).model;
                return new Promise<never>(() => undefined);
              },
            ],
            ["yield", (command) => Promise.resolve(void yields.push(command))],
          ]),
        },
      },
    );
    cleanup.push(() => agent.stop());
    const wanted = await until(() => model, { timeoutMs: 20_000, what: "the command" });
    const progress = { model: wanted, done: 3, total: 8, what: "block 3 of 6", secondsLeft: 4 };
    agent.publishProgress(progress);
    await until(() => daemon.status().benchmark.progress?.some(({ node }) => node === "cam-1"));
    expect(daemon.status().benchmark.progress).toContainEqual({ node: "cam-1", ...progress });

    const stop = new AbortController();
    const url = `http://127.0.0.1:${daemon.port}`;
    const runtimeOf = (node: string) => {
      const runtime = subscribe(url, { role: "runtime", node, signal: stop.signal });
      const following = (async () => {
        for await (const update of runtime) expect(update.kind).toBeDefined();
      })();
      cleanup.push(async () => {
        stop.abort();
        await following;
      });
      return (busy: boolean, stages: typeof served): boolean =>
        runtime.report({ pipeline: "vision", revision: 1, stages, transfers: [], busy });
    };
    const served = [{ node: "cam-1", computeMs: 1 }];
    const report = runtimeOf("cam-1");
    await until(() => daemon.status().subscribers === 1 && report(false, []));
    expect(yields).toEqual([]);
    report(false, served);
    await until(() => yields[0]);
    expect(yields[0]).toMatchObject({ forMs: 10_000, overload: false });
    report(true, served);
    await until(() => yields[1]);
    expect(yields[1]).toMatchObject({ forMs: 10_000, overload: true });

    // On the same machine as the agent.
    const reportOfEdge = runtimeOf("edge-1");
    const toldBefore = yields.length;
    await until(() => reportOfEdge(true, []) && yields.length > toldBefore);
    expect(yields.at(-1)).toMatchObject({ forMs: 10_000, overload: true });
  });
});
