// From a telemetry sample that crosses a threshold to the first frame with the new revision at a
// subscriber: the whole daemon in a process of its own, Mosquitto, a state directory on the disk that
// already holds hundreds of profiles. Each sample makes the other one of two plans the better one; both
// have been in force, so their partitions are measured and extracted. Beside it, sample for sample, the
// least that could react: a message over MQTT to a flushed file and a frame. Target: p99 at most 10 ms.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { connectAsync } from "mqtt";
import { WebSocket } from "ws";
import { stringify } from "yaml";
import { buildModel } from "../../dist/zoo/index.js";
import { freePort, startMosquitto } from "./mosquitto.js";
import { median, quantile, rounded } from "./quantiles.js";
import { OTHER_PROFILES, startReactionDevice } from "./reaction-device.js";
import { startChild } from "./stream-peers.js";

const TARGET_MS = 10;
const SAMPLES = Number(process.env.SAMPLES ?? 300);
const WARMUPS = 30;
const FIRST_SWITCHES = 4;
/** Longer than the samples before are remembered, so that one sample decides. */
const PAUSE_MS = 250;
const FRAME_TIMEOUT_MS = 5_000;
const SITE = "bench";
const cli = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

const broker = await startMosquitto();
const directory = mkdtempSync(join(tmpdir(), "scissiond-bench-reaction-"));
const daemon = await startDaemon();
const bare = await startBare();
const device = await startReactionDevice({ site: SITE, brokerUrl: broker.url, until });
const frames = await subscribe(daemon.url);
try {
  await device.publishOtherProfiles();
  const delaysMs = [];
  const bareMs = [];
  // With a slow link the device works alone, as it does before anything is known of the link.
  let rateMbps = 0.01;
  await until(
    () => frames.revision > 0,
    "a first plan",
    () => device.report(rateMbps),
  );
  // These plans have to be measured, and need their sub-models.
  for (let switches = 0; switches < FIRST_SWITCHES; switches += 1) {
    rateMbps = rateMbps === 1_000 ? 0.01 : 1_000;
    const before = frames.revision;
    await until(
      () => frames.revision > before,
      `plan ${switches} of the first ones`,
      () => device.report(rateMbps),
    );
  }
  for (let sample = -WARMUPS; sample < SAMPLES; sample += 1) {
    await sleep(PAUSE_MS);
    rateMbps = rateMbps === 1_000 ? 0.01 : 1_000;
    const before = frames.revision;
    const sentMs = performance.now();
    device.report(rateMbps);
    await until(() => frames.revision > before, `a plan after sample ${sample}`);
    // The daemon is done with what it does behind its answer.
    await sleep(PAUSE_MS);
    const bareDelayMs = await bare.react();
    if (sample < 0) continue;
    delaysMs.push(frames.arrivedMs - sentMs);
    bareMs.push(bareDelayMs);
  }
  const p99Ms = quantile(delaysMs, 0.99);
  console.log(
    JSON.stringify({
      name: "reaction",
      samples: delaysMs.length,
      storedProfiles: OTHER_PROFILES,
      p50Ms: rounded(median(delaysMs)),
      p90Ms: rounded(quantile(delaysMs, 0.9)),
      p99Ms: rounded(p99Ms),
      maxMs: rounded(Math.max(...delaysMs)),
      bareP50Ms: rounded(median(bareMs)),
      bareP99Ms: rounded(quantile(bareMs, 0.99)),
      targetMs: TARGET_MS,
    }),
  );
  process.exitCode = p99Ms <= TARGET_MS ? 0 : 1;
} finally {
  frames.close();
  await bare.stop();
  await device.stop();
  await daemon.stop();
  await broker.stop();
  rmSync(directory, { recursive: true, force: true });
}

async function startDaemon() {
  const port = await freePort();
  writeFileSync(join(directory, "model.onnx"), buildModel("mobilenet", { seed: 1, light: true }));
  const settings = {
    site: SITE,
    node: { name: "edge-1" },
    stateDirectory: "state",
    listen: { port },
    mqtt: { url: broker.url },
    probeServer: { enabled: false },
    models: [{ name: "net", path: "model.onnx" }],
    pipelines: [{ name: "vision", model: "net", devices: ["cam-1"] }],
    // Reacts to one sample: no hold, no pause, no proof asked for.
    thresholds: {
      smoothingHalfLifeSeconds: 0.03,
      holdSeconds: 0,
      cooldownSeconds: 0,
      switchCostPercent: 0,
      regretPercent: 0,
      staleSeconds: 3_600,
    },
    benchmark: { warmups: 1, repeats: 5 },
  };
  writeFileSync(join(directory, "scissiond.yaml"), stringify(settings));
  const profiling =
    process.env.CPU_PROF === undefined
      ? []
      : ["--cpu-prof", "--cpu-prof-dir", process.env.CPU_PROF];
  const child = spawn(
    process.execPath,
    [...profiling, cli, "run", "--config", join(directory, "scissiond.yaml")],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await fetch(`${url}/healthz`).catch(() => undefined))?.ok, "the daemon");
  return {
    url,
    async stop() {
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}

/** Reacts to a message with a frame, and nothing else. */
async function startBare() {
  const topic = "bench/bare";
  const child = await startChild("./reaction-bare.js", [broker.url, topic, directory]);
  const client = await connectAsync(broker.url);
  const socket = new WebSocket(`ws://127.0.0.1:${child.port}`);
  await once(socket, "open");
  return {
    async react() {
      const arrived = once(socket, "message");
      const sentMs = performance.now();
      client.publish(topic, '{"rttMs":1,"bandwidthMbps":1000}');
      await arrived;
      return performance.now() - sentMs;
    },
    async stop() {
      socket.close();
      await client.endAsync();
      await child.stop();
    },
  };
}

/** An observer; the newest revision it was told, and when that came. */
async function subscribe(url) {
  const socket = new WebSocket(`${url.replace("http", "ws")}/api/v1/updates`, [
    "scission.updates.v1",
  ]);
  const frames = { revision: 0, arrivedMs: 0, close: () => socket.close() };
  socket.on("message", (data) => {
    const arrivedMs = performance.now();
    const message = JSON.parse(data);
    const plan = message.type === "snapshot" ? message.plans[0] : message.plan;
    if (plan === undefined || plan.revision <= frames.revision) return;
    frames.revision = plan.revision;
    frames.arrivedMs = arrivedMs;
  });
  await once(socket, "open");
  socket.send(JSON.stringify({ type: "subscribe", role: "observer" }));
  return frames;
}

async function until(isSo, what, meanwhile = () => undefined) {
  const deadlineMs = performance.now() + (what.startsWith("a plan") ? FRAME_TIMEOUT_MS : 120_000);
  while (!(await isSo())) {
    if (performance.now() > deadlineMs) throw new Error(`${what} did not come`);
    meanwhile();
    await sleep(what.startsWith("a plan") ? 1 : PAUSE_MS);
  }
}
