// What benchmarks of the benchmark share: real models of SCISSIOND_DATA, and ways to time them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger, systemClock } from "../../dist/core/index.js";
import { inferenceOptionsSchema, startModelWorker } from "../../dist/inference/index.js";

export const DEPS = { log: silentLogger, clock: systemClock };
export const NODE = { tier: "edge", name: "bench", hardwareClass: "bench" };

const NAMES = [
  "light_resnet50",
  "light_densenet121",
  "light_inception_v1",
  "light_inception_v2",
  "light_zfnet512",
  "light_bvlc_alexnet",
  "light_squeezenet",
  "light_shufflenet",
  "ultraface_slim_320",
  "super_resolution_pytorch",
];

/** Ten models, or those that SCISSIOND_BENCH_MODELS names, separated by commas. */
export function realModels() {
  const directory = process.env.SCISSIOND_DATA;
  if (directory === undefined) return [];
  const wanted = process.env.SCISSIOND_BENCH_MODELS?.split(",") ?? NAMES;
  const home = join(directory, "models");
  const { models } = JSON.parse(readFileSync(join(home, "manifest.json"), "utf8"));
  return wanted.map((name) => {
    const entry = models.find((model) => model.name === name);
    if (entry === undefined) throw new Error(`no model ${name} in ${home}`);
    const inputs = Object.entries(entry.usedShapes ?? {}).map(([input, shape]) => {
      const value = entry.fill?.[input];
      return { name: input, shape, ...(value === undefined ? {} : { value }) };
    });
    return { name, path: join(home, entry.file), inputs };
  });
}

/** A new child process with the model, for the time of `use`. */
export async function withWorker({ path, inputs }, use) {
  const worker = await startModelWorker(inferenceOptionsSchema.parse({}), DEPS);
  try {
    return await use(worker, await worker.open({ path, inputs, maxCutTensors: 1 }));
  } finally {
    await worker.stop();
  }
}

export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

export function rounded(value) {
  return Number(value.toPrecision(3));
}
