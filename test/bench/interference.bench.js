// How much a benchmark by an agent with its defaults slows a live inference on its node at half a core's
// load. Daemon and agent are processes of their own; the live load's runtime reports to the daemon, and
// everything else follows from that. Idle phases stand before and behind the benchmark, in one run. What
// the live load costs the benchmark is told beside it.
import { benchmarkOptionsSchema } from "../../dist/benchmark/index.js";
import { reportLive, startLive, startSite } from "./live-site.js";
import { median, monotonicMs, quantile, rounded } from "./quantiles.js";
import { realModels } from "./real-models.js";

const P95_SLOWDOWN_PERCENT_MAX = 10;
const IDLE_MS = 20_000;
/** The first report must have come before the benchmark begins. */
const SETTLE_MS = 8_000;
/** p95 in stretches of this length: their median leaves out a burst of something else's. */
const STRETCH_MS = 4_000;
const LIVE = "light_squeezenet";
const BENCHMARKED = "light_inception_v1";

const given = JSON.parse(process.env.SCISSIOND_BENCH_OPTIONS ?? "{}");
const options = benchmarkOptionsSchema.parse(given);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function timed(work) {
  const fromMs = monotonicMs();
  await work();
  return { fromMs, toMs: monotonicMs() };
}

const lasted = ({ fromMs, toMs }) => toMs - fromMs;

async function measureAlone(model) {
  const site = await startSite(given);
  try {
    return await timed(() => site.measure(model, options.timeoutMs));
  } finally {
    await site.stop();
  }
}

async function measureBesideLive(model, liveModel) {
  const site = await startSite(given);
  const live = await startLive(liveModel);
  const stopReports = reportLive(site.url, live);
  try {
    await wait(SETTLE_MS);
    const before = await timed(() => wait(IDLE_MS));
    const benchmark = await timed(() => site.measure(model, options.timeoutMs));
    await wait(SETTLE_MS);
    const after = await timed(() => wait(IDLE_MS));
    return { live, idle: [before, after], benchmark };
  } finally {
    await stopReports();
    live.stop();
    await site.stop();
  }
}

const models = new Map(realModels().map((model) => [model.name, model]));
if (models.size > 0) {
  const [model, liveModel] = [models.get(BENCHMARKED), models.get(LIVE)];
  const aloneMs = lasted(await measureAlone(model));
  const { live, idle, benchmark } = await measureBesideLive(model, liveModel);
  const latenciesIn = (phases) =>
    live.requests
      .filter(({ startMs }) => phases.some((one) => startMs >= one.fromMs && startMs < one.toMs))
      .map(({ latencyMs }) => latencyMs);
  const [calm, disturbed] = [latenciesIn(idle), latenciesIn([benchmark])];
  const stretches = (phases) =>
    phases.flatMap(({ fromMs, toMs }) =>
      Array.from({ length: Math.floor((toMs - fromMs) / STRETCH_MS) }, (_, index) => {
        const startMs = fromMs + index * STRETCH_MS;
        return quantile(latenciesIn([{ fromMs: startMs, toMs: startMs + STRETCH_MS }]), 0.95);
      }),
    );
  const usualP95Ms = [idle, [benchmark]].map((phases) => median(stretches(phases)));
  const slower = (share) => 100 * (quantile(disturbed, share) / quantile(calm, share) - 1);
  const result = {
    name: "interference",
    live: LIVE,
    benchmarked: BENCHMARKED,
    periodMs: rounded(live.periodMs),
    niceness: options.inference.niceness,
    cpuSharePercent: options.cpuSharePercent,
    liveSharePercent: options.liveSharePercent,
    requests: [calm.length, disturbed.length],
    medianMs: [median(calm), median(disturbed)].map(rounded),
    p95Ms: [quantile(calm, 0.95), quantile(disturbed, 0.95)].map(rounded),
    idleP95Ms: idle.map((phase) => rounded(quantile(latenciesIn([phase]), 0.95))),
    usualP95Ms: usualP95Ms.map(rounded),
    usualP95SlowerPercent: rounded(100 * (usualP95Ms[1] / usualP95Ms[0] - 1)),
    medianSlowerPercent: rounded(slower(0.5)),
    p95SlowerPercent: rounded(slower(0.95)),
    target: P95_SLOWDOWN_PERCENT_MAX,
    benchmarkMs: rounded(lasted(benchmark)),
    benchmarkAloneMs: rounded(aloneMs),
    longerBeside: rounded(lasted(benchmark) / aloneMs),
    budgetMs: options.timeoutMs,
    ok: slower(0.95) <= P95_SLOWDOWN_PERCENT_MAX && lasted(benchmark) <= options.timeoutMs,
  };
  console.log(JSON.stringify(result));
  if (!result.ok) process.exitCode = 1;
}
