// A daemon and the agent of a device in processes of their own, and live load on the device whose
// runtime reports through the client: what a benchmark beside live work is measured in.
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { subscribe } from "../../dist/client/index.js";
import { buildModel } from "../../dist/zoo/index.js";
import { freePort } from "./mosquitto.js";
import { median } from "./quantiles.js";

const NODE = "cam-1";
const POLL_MS = 500;
const REPORT_MS = 2_000;
const START_TIMEOUT_MS = 60_000;
const cli = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/**
 * Daemon and agent, with a small model that is measured already. Both nodes have one hardware class, so
 * that models are measured by the agent alone. `benchmark` are the agent's options.
 */
export async function startSite(benchmark) {
  const directory = mkdtempSync(join(tmpdir(), "scissiond-bench-live-"));
  const [port, brokerPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const configPath = join(directory, "scissiond.yaml");
  const serve = (models) =>
    writeFileSync(configPath, stringify(daemonSettings({ port, brokerPort, models })));
  writeFileSync(join(directory, "small.onnx"), buildModel("mobilenet", { seed: 1, light: true }));
  const small = { name: "small", path: "small.onnx", inputs: [] };
  serve([]);
  const daemon = start(["run", "--config", configPath]);
  const agentPath = join(directory, "agent.yaml");
  writeFileSync(agentPath, stringify(agentSettings({ url, brokerPort, benchmark })));
  const agent = start(["agent", "--config", agentPath]);
  const site = {
    url,
    /** From the reload that names the model to its profile. */
    async measure({ path, inputs }, timeoutMs) {
      serve([small, { name: "large", path, inputs }]);
      daemon.kill("SIGHUP");
      await untilMeasured(url, "large", timeoutMs);
    },
    async stop() {
      for (const process of [agent, daemon]) {
        process.kill("SIGTERM");
        if (process.exitCode === null) await once(process, "exit");
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
  try {
    await until(async () =>
      (await statusOf(url))?.nodes.some(({ name, online }) => name === NODE && online),
    );
    serve([small]);
    daemon.kill("SIGHUP");
    await untilMeasured(url, small.name, START_TIMEOUT_MS);
    return site;
  } catch (error) {
    await site.stop();
    throw error;
  }
}

async function untilMeasured(url, name, timeoutMs) {
  const isMeasured = async () => {
    const outcome = (await statusOf(url))?.benchmark.lastOutcome ?? "";
    if (outcome.includes("failed")) throw new Error(outcome);
    return outcome.startsWith(`${name} on ${NODE}: `);
  };
  await until(isMeasured, timeoutMs);
}

async function statusOf(url) {
  const response = await fetch(`${url}/api/v1/status`).catch(() => undefined);
  return response?.json();
}

async function until(holds, timeoutMs = START_TIMEOUT_MS) {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs} ms`);
    await sleep(POLL_MS);
  }
}

const SITE = "bench";
const HARDWARE_CLASS = "bench";

function daemonSettings({ port, brokerPort, models }) {
  return {
    site: SITE,
    node: { name: "edge-1", hardwareClass: HARDWARE_CLASS },
    stateDirectory: "state",
    log: { level: "warn" },
    listen: { port },
    mqtt: { broker: { port: brokerPort } },
    probeServer: { enabled: false },
    confirm: { enabled: false },
    models,
    pipelines: models.map(({ name }) => ({ name, model: name, devices: [NODE] })),
  };
}

function agentSettings({ url, brokerPort, benchmark }) {
  return {
    site: SITE,
    node: { name: NODE, tier: "device", hardwareClass: HARDWARE_CLASS },
    stateDirectory: "agent",
    log: { level: "warn" },
    daemonUrl: url,
    mqtt: { url: `mqtt://127.0.0.1:${brokerPort}` },
    probeServer: { enabled: false },
    benchmark,
  };
}

function start(args) {
  return spawn(process.execPath, [cli, ...args], { stdio: ["ignore", 2, 2] });
}

/** Requests at half a core's load, each as { startMs, latencyMs }. */
export async function startLive({ path, inputs }) {
  const requests = [];
  const child = fork(
    fileURLToPath(new URL("live-load.js", import.meta.url)),
    [path, JSON.stringify(inputs)],
    { stdio: "inherit" },
  );
  const periodMs = await new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the live load ended with ${code}`)));
    child.on("message", (message) => {
      if (message.periodMs === undefined) requests.push(message);
      else resolve(message.periodMs);
    });
  });
  return { requests, periodMs, stop: () => child.disconnect() };
}

/** Reports the live load as the device's runtime does; the function returned ends it. */
export function reportLive(url, live) {
  const stop = new AbortController();
  let plans = [];
  const runtime = subscribe(url, { role: "runtime", node: NODE, signal: stop.signal });
  const following = (async () => {
    for await (const update of runtime) plans = update.plans;
  })();
  const timer = setInterval(() => {
    const recent = live.requests.slice(-Math.ceil(REPORT_MS / live.periodMs));
    if (recent.length === 0) return;
    runtime.report({
      pipeline: `small-${NODE}`,
      revision: plans[0]?.revision ?? 1,
      stages: [{ node: NODE, computeMs: median(recent.map(({ latencyMs }) => latencyMs)) }],
      transfers: [],
      busy: false,
    });
  }, REPORT_MS);
  return async () => {
    clearInterval(timer);
    stop.abort();
    await following;
  };
}
