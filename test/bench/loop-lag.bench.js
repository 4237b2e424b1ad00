// How late the parent's event loop comes while a large model is benchmarked in its child process.
// Target: p99 below 20 ms.
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { benchmarkModel, benchmarkOptionsSchema } from "../../dist/benchmark/index.js";
import { silentLogger, systemClock } from "../../dist/core/index.js";

const RESOLUTION_MS = 1;
const TARGET_MS = 20;
const NANOSECONDS_PER_MS = 1e6;

const data = process.env.SCISSIOND_DATA;
const path = process.argv[2] ?? (data ? join(data, "models/light_vgg19.onnx") : undefined);
if (path === undefined) {
  console.error("give a model's path, or set SCISSIOND_DATA");
  process.exit(1);
}

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();
const profile = await benchmarkModel(
  { path, node: { tier: "edge", name: "bench", hardwareClass: "bench" }, inputs: [] },
  benchmarkOptionsSchema.parse({ repeats: 3 }),
  { log: silentLogger, clock: systemClock },
);
delay.disable();

// The histogram counts the whole interval between two ticks of the timer; the lag is what is beyond it.
const lagMs = (nanoseconds) => Math.max(nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS, 0);
const p99Ms = lagMs(delay.percentile(99));
const result = {
  name: "loop-lag",
  p99Ms: Number(p99Ms.toFixed(2)),
  maxMs: Number(lagMs(delay.max).toFixed(2)),
  targetMs: TARGET_MS,
  model: profile.model.name,
  blocks: profile.blocks.length,
};
console.log(JSON.stringify(result));
process.exitCode = p99Ms < TARGET_MS ? 0 : 1;
