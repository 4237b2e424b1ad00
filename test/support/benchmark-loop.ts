import { silentLogger } from "../../src/core/index.js";
import type { BenchmarkJob } from "../../src/daemon/benchmark-job.js";
import {
  type Benchmarks,
  type MeasureLimits,
  startBenchmarks,
} from "../../src/daemon/benchmarks.js";
import { HostTurns } from "../../src/daemon/host-turns.js";
import type { ModelFile } from "../../src/daemon/models.js";
import { startRefreshRun } from "../../src/daemon/refresh-run.js";
import type { Profile } from "../../src/protocol/index.js";
import { ManualClock } from "./manual-clock.js";
import { aProfile } from "./profiles.js";

export const HOUR_MS = 3_600_000;
export const LIMITS = {
  maxProfileAgeMs: 48 * HOUR_MS,
  retryMs: 10_000,
  retryMsMax: HOUR_MS,
  resyncMs: 1_000,
  hostsMax: 2,
};

export const job = (node: string, host = node): BenchmarkJob => ({
  model: { name: "net", sha256: "a".repeat(64) } as ModelFile,
  node,
  host,
});

export interface Under {
  clock: ManualClock;
  benchmarks: Benchmarks;
  jobs: BenchmarkJob[];
  profiles: Map<string, Profile>;
  stale: Map<string, string>;
  /** Measurements under way, by node. */
  running: Map<string, { limits: MeasureLimits; end: (error?: Error) => void }>;
  saved: (number | null)[];
  /** What was counted of those that ended. */
  results: string[];
  /** Whether the model is still in the configuration. */
  configured: { is: boolean };
  /** Moves the clock and lets everything that is due happen. */
  pass(deltaMs: number): Promise<void>;
}

export const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

export interface Surroundings {
  resumed?: number;
  measuredAgoMs?: number;
  wallTimeMs?: number;
  software?: Record<string, string>;
  /** Nodes that are yet to run the model. */
  opening?: Set<string>;
}

/** The loop over measurements that end when they are told to; `cleanup` is added to. */
export async function startLoop(
  cleanup: (() => Promise<void>)[],
  jobs: BenchmarkJob[],
  options: Surroundings = {},
): Promise<Under> {
  const clock = new ManualClock();
  const running: Under["running"] = new Map();
  const profiles: Under["profiles"] = new Map();
  const stale: Under["stale"] = new Map();
  const saved: (number | null)[] = [];
  const results: string[] = [];
  const configured = { is: true };
  if (options.measuredAgoMs !== undefined) {
    const measuredAt = clock.nowMs() - options.measuredAgoMs;
    for (const { node } of jobs) profiles.set(node, aProfile({ measuredAt }));
  }
  const deps = { clock, log: silentLogger };
  const measure = async (one: BenchmarkJob, limits: MeasureLimits): Promise<string> => {
    await new Promise<void>((resolve, reject) => {
      const end = (error?: Error): void => (error === undefined ? resolve() : reject(error));
      limits.signal.addEventListener("abort", () => end(new Error("stopped")));
      running.set(one.node, { limits, end });
    }).finally(() => running.delete(one.node));
    profiles.set(one.node, aProfile({ measuredAt: clock.nowMs() }));
    return "measured";
  };
  const benchmarks = startBenchmarks(LIMITS, {
    ...deps,
    wanted: () => jobs,
    hasRun: ({ node }) => options.opening?.has(node) !== true,
    isOnline: (name) => jobs.some(({ node }) => node === name),
    profileOf: ({ node }) => profiles.get(node),
    staleIn: ({ node }) => stale.get(node),
    isConfigured: () => configured.is,
    softwareOf: ({ node }) => options.software?.[node] ?? "",
    measure,
    onFinished: (_, { result }) => results.push(result),
    turns: new HostTurns(),
    refresh: startRefreshRun(() => options.wallTimeMs ?? HOUR_MS, {
      ...deps,
      resumed: options.resumed === undefined ? null : clock.nowMs() - options.resumed,
      began: (at) => saved.push(at),
      ended: () => saved.push(null),
    }),
  });
  cleanup.push(() => benchmarks.stop());
  await settle();
  const pass = async (deltaMs: number): Promise<void> => {
    clock.advance(deltaMs);
    await settle();
  };
  return {
    ...{ clock, benchmarks, jobs, profiles, stale, running },
    ...{ saved, results, configured, pass },
  };
}
