import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Agent, type AgentOptions, startAgent } from "../../src/agent/index.js";
import { benchmarkOptionsSchema } from "../../src/benchmark/index.js";
import { seededRandom, silentLogger, systemClock } from "../../src/core/index.js";
import {
  type BenchmarkAnswer,
  type BenchmarkProgress,
  type MeasureAnswer,
  measureAnswerSchema,
  type NodeState,
  type Profile,
} from "../../src/protocol/index.js";
import {
  brokerOptionsSchema,
  connectTelemetry,
  type LinkEvent,
  mqttOptionsSchema,
  probeOptionsSchema,
  probeServerOptionsSchema,
  startBroker,
  startProbeServer,
  type Telemetry,
} from "../../src/telemetry/index.js";
import { buildModel, floats, node, value } from "../support/onnx-builder.js";
import { until } from "../support/poll.js";

const deps = { log: silentLogger, clock: systemClock, random: seededRandom(5) };
const versions = { node: "0.0.0", onnxruntime: "0.0.0" };
const closers: (() => unknown)[] = [];
let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "scissiond-agent-"));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await rm(directory, { recursive: true, force: true });
});

const modelBytes = buildModel({
  nodes: [node("MatMul", ["x", "w"], ["h"]), node("Relu", ["h"], ["y"])],
  inputs: [value("x", [2, 2])],
  outputs: [value("y", [2, 2])],
  initializers: [floats("w", [1, 2, 3, 4], [2, 2])],
});
const model = { name: "tiny", sha256: createHash("sha256").update(modelBytes).digest("hex") };

/** What the agent needs of a daemon: models over HTTP. Counts the downloads. */
async function startModelServer(
  body: Uint8Array = modelBytes,
): Promise<{ url: string; downloads: () => number }> {
  let downloads = 0;
  const server = createServer((request, response) => {
    downloads += 1;
    const known = request.url === `/api/v1/models/${model.sha256}`;
    response.writeHead(known ? 200 : 404).end(known ? body : "");
  });
  closers.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}`, downloads: () => downloads };
}

function agentOptions(brokerUrl: string, daemonUrl: string): AgentOptions {
  return {
    site: "lab",
    node: { name: "cam-1", tier: "device", hardwareClass: "pi-4" },
    mqtt: mqttOptionsSchema.parse({ url: brokerUrl, reconnect: { minMs: 20, maxMs: 100 } }),
    probeServer: probeServerOptionsSchema.parse({ port: 0 }),
    probe: probeOptionsSchema.parse({ intervalSeconds: 0.05, burstTargetMs: 10 }),
    links: [],
    stateDirectory: directory,
    daemonUrl,
    daemonTls: {},
    limits: { modelBytesMax: 1_000_000, cacheBytesMax: 1_000_000, downloadTimeoutMs: 5_000 },
    emulate: { slowdown: 3 },
    benchmark: benchmarkOptionsSchema.parse({
      ...{ warmups: 0, repeats: 2, cpuSharePercent: 100 },
      inference: { niceness: 0 },
    }),
  };
}

async function start(options: AgentOptions): Promise<Agent> {
  const agent = await startAgent(options, {
    ...deps,
    newId: () => "boot",
    version: "0.0.0",
    versions,
  });
  closers.push(() => agent.stop());
  return agent;
}

interface Site {
  brokerUrl: string;
  edge: Telemetry;
  states: NodeState[];
  profiles: Profile[];
  links: LinkEvent[];
  progress: BenchmarkProgress[];
}

/** A broker and somebody who listens and commands, as the daemon does. */
async function startSite(): Promise<Site> {
  const broker = await startBroker(brokerOptionsSchema.parse({ port: 0 }), deps);
  closers.push(() => broker.stop());
  const states: NodeState[] = [];
  const profiles: Profile[] = [];
  const links: LinkEvent[] = [];
  const progress: BenchmarkProgress[] = [];
  const self: NodeState = {
    node: "edge-1",
    status: "online",
    bootId: "b",
    tier: "edge",
    hardwareClass: "server",
    version: "0.0.0",
    logicalCores: 1,
    memoryBytes: 1,
    emulatedSlowdown: 1,
    models: [],
  };
  const edge = await connectTelemetry(
    mqttOptionsSchema.parse({ url: broker.url }),
    { site: "lab", state: self },
    {
      ...deps,
      handlers: {
        onNodeState: (state) => {
          if (state.node === "cam-1") states.push(state);
        },
        onProfile: (profile) => profiles.push(profile),
        onLink: (event) => links.push(event),
        onProgress: (_, event) => progress.push(event),
      },
    },
  );
  closers.push(() => edge.stop());
  await until(() => edge.connected);
  return { brokerUrl: broker.url, edge, states, profiles, links, progress };
}

const benchmark = { model, inputs: [], maxCutTensors: 1, timeoutMs: 20_000 };
const call = { timeoutMs: 25_000 };

describe("agent", () => {
  it("downloads a model, benchmarks it, and publishes profile and state", async () => {
    const site = await startSite();
    const daemon = await startModelServer();
    const agent = await start(agentOptions(site.brokerUrl, daemon.url));
    await until(() => site.states.some(({ status }) => status === "online"));
    const answer = await site.edge.command("cam-1", "benchmark", benchmark, call);
    const profile = await until(() => site.profiles[0]);
    expect(profile).toMatchObject({
      model,
      node: { name: "cam-1", tier: "device", hardwareClass: "pi-4" },
      environment: { emulatedSlowdown: 3 },
      equality: { ok: true },
    });
    const { measuredAt, wholeMs } = profile;
    expect(answer).toEqual({ measuredAt, wholeMs, outcome: "measured" });
    await until(() => site.states.some(({ models }) => models[0]?.sha256 === model.sha256));
    await site.edge.command("cam-1", "benchmark", benchmark, call);
    expect(daemon.downloads()).toBe(1);
    await agent.stop();
    await until(() => site.states.at(-1)?.status === "offline");
  });

  it("looks only, where that is asked for and the node measured the model before", async () => {
    const site = await startSite();
    const daemon = await startModelServer();
    const agent = await start(agentOptions(site.brokerUrl, daemon.url));
    await until(() => site.states.some(({ status }) => status === "online"));
    const look = { ...benchmark, look: true };
    const first = await site.edge.command("cam-1", "benchmark", look, call);
    expect(first).toMatchObject({ outcome: "measured" });
    // What it measured outlives the agent.
    await agent.stop();
    const states = site.states.length;
    await start({
      ...agentOptions(site.brokerUrl, daemon.url),
      benchmark: benchmarkOptionsSchema.parse({
        sentinel: { okPercent: 1_000, fullPercent: 1_000 },
        inference: { niceness: 0 },
      }),
    });
    await until(() => site.states.slice(states).some(({ status }) => status === "online"));
    const second = await site.edge.command("cam-1", "benchmark", look, call);
    expect((second as BenchmarkAnswer).outcome).toMatch(/^looked: /);
    const profile = await until(() => site.profiles.find(({ refreshed }) => refreshed));
    expect(profile.refreshed?.fullAt).toBe((first as BenchmarkAnswer).measuredAt);
  });

  it("publishes what it measured before when it starts: to a broker that knows nothing", async () => {
    const daemon = await startModelServer();
    const site = await startSite();
    const agent = await start(agentOptions(site.brokerUrl, daemon.url));
    await until(() => site.states.some(({ status }) => status === "online"));
    await site.edge.command("cam-1", "benchmark", benchmark, call);
    const measured = await until(() => site.profiles[0]);
    await agent.stop();
    const other = await startSite();
    await start(agentOptions(other.brokerUrl, daemon.url));
    expect(await until(() => other.profiles[0])).toEqual(measured);
  });

  it("tells which execution provider it lacks, and measures nothing without it", async () => {
    const site = await startSite();
    const daemon = await startModelServer();
    const inference = { niceness: 0, executionProviders: ["nonsense", "cpu"] };
    const options = agentOptions(site.brokerUrl, daemon.url);
    await start({ ...options, benchmark: benchmarkOptionsSchema.parse({ inference }) });
    const missing = await until(() => site.states.find((state) => state.missingProviders));
    expect(missing.missingProviders?.map(({ name }) => name)).toEqual(["nonsense"]);
    expect(missing.missingProviders?.[0]?.reason).toContain("cpu");
    const answer = site.edge.command("cam-1", "benchmark", benchmark, call);
    await expect(answer).rejects.toThrow(/nonsense is not available.*INFERENCE_PROVIDER/);
    expect(site.profiles).toEqual([]);
  });

  it("tells how far its benchmark is", async () => {
    const site = await startSite();
    const daemon = await startModelServer();
    await start(agentOptions(site.brokerUrl, daemon.url));
    await until(() => site.states.some(({ status }) => status === "online"));
    await site.edge.command("cam-1", "benchmark", benchmark, call);
    const last = await until(() => site.progress.find(({ done, total }) => done === total));
    expect(last).toMatchObject({ model, what: "done" });
    expect(site.progress[0]?.done).toBeLessThan(last.total);
  });

  it("runs one benchmark at a time, and the same one once for two who ask", async () => {
    const site = await startSite();
    const daemon = await startModelServer();
    await start(agentOptions(site.brokerUrl, daemon.url));
    await until(() => site.states.some(({ status }) => status === "online"));
    const other = { ...benchmark, model: { name: "other", sha256: "0".repeat(64) } };
    const first = site.edge.command("cam-1", "benchmark", benchmark, call);
    const second = site.edge.command("cam-1", "benchmark", benchmark, call);
    const busy = expect(site.edge.command("cam-1", "benchmark", other, call)).rejects.toThrow(
      /busy with another benchmark/,
    );
    expect(await first).toEqual(await second);
    await busy;
    expect(site.profiles).toHaveLength(1);
  });

  it("measures partitions in one opening, and says so where it is busy or one does not run", async () => {
    const site = await startSite();
    const daemon = await startModelServer();
    await start(agentOptions(site.brokerUrl, daemon.url));
    await until(() => site.states.some(({ status }) => status === "online"));
    const ask = async (command: Record<string, unknown>): Promise<MeasureAnswer> =>
      measureAnswerSchema.parse(await site.edge.command("cam-1", "measure", command, call));
    const ranges = [
      { firstLayer: 0, lastLayer: 0 },
      { firstLayer: 1, lastLayer: 2 },
    ];
    const measured = await ask({ ...benchmark, ranges });
    expect(measured).toMatchObject({
      kind: "measured",
      environment: { emulatedSlowdown: 3 },
      ranges,
    });
    const odd = { ...benchmark, ranges: [{ firstLayer: 7, lastLayer: 9 }] };
    expect(await ask(odd)).toMatchObject({ kind: "failed" });
    const benchmarking = site.edge.command("cam-1", "benchmark", benchmark, call);
    expect(await ask({ ...benchmark, ranges })).toEqual({ kind: "busy" });
    await benchmarking;
    const empty = site.edge.command("cam-1", "measure", { ...benchmark, ranges: [] }, call);
    await expect(empty).rejects.toThrow(/bad command: ranges/);
  });

  it("answers what goes wrong, and leaves no partial file", async () => {
    const site = await startSite();
    const forged = await startModelServer(Buffer.from("another file"));
    const options = agentOptions(site.brokerUrl, forged.url);
    await start(options);
    await until(() => site.states.some(({ status }) => status === "online"));
    const ask = (command: Record<string, unknown>): Promise<unknown> =>
      site.edge.command("cam-1", "benchmark", command, call);
    await expect(ask(benchmark)).rejects.toThrow(/has the SHA-256.*MODEL_UNREADABLE/);
    await expect(ask({ ...benchmark, timeoutMs: -1 })).rejects.toThrow(/bad command: timeoutMs/);
    const unknown = { ...benchmark, model: { name: "x", sha256: "1".repeat(64) } };
    await expect(ask(unknown)).rejects.toThrow(/answers 404.*DAEMON_UNREACHABLE/);
    expect(await readdir(join(options.stateDirectory, "models"))).toEqual([]);
  });

  it("refuses a model beyond its limit, and replaces a damaged one", async () => {
    const site = await startSite();
    const daemon = await startModelServer();
    const options = agentOptions(site.brokerUrl, daemon.url);
    const small = { ...options, limits: { ...options.limits, modelBytesMax: 10 } };
    const first = await start(small);
    await until(() => site.states.some(({ status }) => status === "online"));
    const refused = site.edge.command("cam-1", "benchmark", benchmark, call);
    await expect(refused).rejects.toThrow(/MODEL_TOO_LARGE/);
    await first.stop();
    await writeFile(
      join(join(options.stateDirectory, "models"), `${model.sha256}.onnx`),
      "damaged",
    );
    await writeFile(join(join(options.stateDirectory, "models"), "rest.part"), "of a crash");
    const before = site.states.length;
    await start(options);
    await until(() => site.states.slice(before).some(({ status }) => status === "online"));
    await site.edge.command("cam-1", "benchmark", benchmark, call);
    expect(await readdir(join(options.stateDirectory, "models"))).toEqual([`${model.sha256}.onnx`]);
  });

  it("stops a benchmark that takes too long", async () => {
    const site = await startSite();
    const silent = createServer(() => undefined);
    closers.push(() => silent.close());
    closers.push(() => silent.closeAllConnections());
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await start(agentOptions(site.brokerUrl, `http://127.0.0.1:${port}`));
    await until(() => site.states.some(({ status }) => status === "online"));
    const late = { ...benchmark, timeoutMs: 100 };
    await expect(site.edge.command("cam-1", "benchmark", late, call)).rejects.toThrow(
      /not done within 100 ms \(COMMAND_TIMEOUT\)/,
    );
  });

  it("measures its links and reports both directions", async () => {
    const site = await startSite();
    const peer = await startProbeServer(probeServerOptionsSchema.parse({ port: 0 }), deps);
    closers.push(() => peer.stop());
    const options = agentOptions(site.brokerUrl, "http://127.0.0.1:1");
    await start({ ...options, links: [{ to: "edge-1", host: "127.0.0.1", port: peer.port }] });
    for (const [from, to] of [
      ["cam-1", "edge-1"],
      ["edge-1", "cam-1"],
    ]) {
      const event = await until(() => site.links.find((e) => e.from === from && e.to === to));
      expect(event.report.rttMs).toBeGreaterThan(0);
      expect(event.report.bandwidthMbps).toBeGreaterThan(1);
    }
  });

  it("frees its ports when a later part of the start fails", async () => {
    const taken = await startProbeServer(probeServerOptionsSchema.parse({ port: 0 }), deps);
    closers.push(() => taken.stop());
    const options = agentOptions("mqtt://127.0.0.1:1", "http://127.0.0.1:1");
    const failing = { ...options, probeServer: { ...options.probeServer, port: taken.port } };
    await expect(start(failing)).rejects.toMatchObject({ code: "LISTEN_FAILED" });
    const agent = await start(options);
    expect(agent.connected).toBe(false);
    await agent.stop();
    await agent.stop();
  });
});
