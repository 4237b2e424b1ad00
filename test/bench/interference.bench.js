// How much a benchmark with the daemon's defaults slows a live inference at half a core's load: idle
// phases and benchmarks take turns in one run. What it costs the benchmark is told beside it.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  benchmarkOptionsSchema,
  createPace,
  PAUSED_SHARE_MAX,
  renewProfile,
} from "../../dist/benchmark/index.js";
import { median, monotonicMs, quantile, rounded } from "./quantiles.js";
import { DEPS, NODE, realModels } from "./real-models.js";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const P95_SLOWDOWN_PERCENT_MAX = 10;
const IDLE_MS = 20_000;
const LIVE = "light_squeezenet";
const BENCHMARKED = ["light_inception_v1"];

const options = benchmarkOptionsSchema.parse({
  ...JSON.parse(process.env.SCISSIOND_BENCH_OPTIONS ?? "{}"),
});

function startLive({ path, inputs }) {
  const requests = [];
  const child = fork(
    fileURLToPath(new URL("live-load.js", import.meta.url)),
    [path, JSON.stringify(inputs)],
    { stdio: "inherit" },
  );
  const ready = new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the live load ended with ${code}`)));
    child.on("message", (message) => {
      if (message.periodMs === undefined) requests.push(message);
      else resolve(message.periodMs);
    });
  });
  return { requests, ready, stop: () => child.disconnect() };
}

/** The runtime of the live load reports, as far as the benchmark is concerned. */
async function benchmark(model, liveWork) {
  const startMs = monotonicMs();
  const { cpuSharePercent, liveSharePercent, timeoutMs } = options;
  const { profile } = await renewProfile(
    {
      ...model,
      node: NODE,
      sha256: createHash("sha256").update(readFileSync(model.path)).digest("hex"),
      mayLook: false,
    },
    options,
    {
      ...DEPS,
      beforeStep: createPace(
        { cpuSharePercent, liveSharePercent, pausedMsMax: timeoutMs * PAUSED_SHARE_MAX },
        { clock: DEPS.clock, liveWork: () => liveWork },
      ),
    },
  );
  return { profile, elapsedMs: monotonicMs() - startMs };
}

const models = new Map(realModels().map((model) => [model.name, model]));
if (models.size > 0) {
  const alone = [];
  for (const name of BENCHMARKED) alone.push(await benchmark(models.get(name), "none"));
  const live = startLive(models.get(LIVE));
  const periodMs = await live.ready;
  const phases = [];
  const beside = [];
  const phase = async (kind, work) => {
    const fromMs = monotonicMs();
    await work();
    phases.push({ kind, fromMs, toMs: monotonicMs() });
  };
  const idle = () => new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  for (const name of BENCHMARKED) {
    await phase("idle", idle);
    await phase("benchmark", async () => {
      beside.push(await benchmark(models.get(name), "some"));
    });
  }
  await phase("idle", idle);
  live.stop();
  const latenciesIn = (kind) =>
    live.requests
      .filter(({ startMs }) =>
        phases.some((one) => one.kind === kind && startMs >= one.fromMs && startMs < one.toMs),
      )
      .map(({ latencyMs }) => latencyMs);
  const [calm, disturbed] = [latenciesIn("idle"), latenciesIn("benchmark")];
  const slower = (share) => 100 * (quantile(disturbed, share) / quantile(calm, share) - 1);
  const total = (runs) => runs.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0);
  const result = {
    name: "interference",
    live: LIVE,
    periodMs: rounded(periodMs),
    niceness: options.inference.niceness,
    cpuSharePercent: options.cpuSharePercent,
    liveSharePercent: options.liveSharePercent,
    requests: [calm.length, disturbed.length],
    medianMs: [median(calm), median(disturbed)].map(rounded),
    p95Ms: [quantile(calm, 0.95), quantile(disturbed, 0.95)].map(rounded),
    medianSlowerPercent: rounded(slower(0.5)),
    p95SlowerPercent: rounded(slower(0.95)),
    target: P95_SLOWDOWN_PERCENT_MAX,
    benchmarkMs: beside.map(({ elapsedMs }) => rounded(elapsedMs)),
    benchmarkAloneMs: alone.map(({ elapsedMs }) => rounded(elapsedMs)),
    longerBeside: rounded(total(beside) / total(alone)),
    wholeChangedPercent: beside.map(({ profile }, index) =>
      rounded(100 * (profile.wholeMs / alone[index].profile.wholeMs - 1)),
    ),
    budgetMs: options.timeoutMs,
    ok:
      slower(0.95) <= P95_SLOWDOWN_PERCENT_MAX &&
      beside.every(({ elapsedMs }) => elapsedMs <= options.timeoutMs),
  };
  console.log(JSON.stringify(result));
  if (!result.ok) process.exitCode = 1;
}
