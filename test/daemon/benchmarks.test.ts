import { afterEach, describe, expect, it } from "vitest";
import { AppError, silentLogger } from "../../src/core/index.js";
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
import { ManualClock } from "../support/manual-clock.js";
import { aProfile } from "../support/profiles.js";

const HOUR_MS = 3_600_000;
const LIMITS = {
  maxProfileAgeMs: 48 * HOUR_MS,
  retryMs: 10_000,
  retryMsMax: HOUR_MS,
  resyncMs: 1_000,
  hostsMax: 2,
};

const job = (node: string, host = node): BenchmarkJob => ({
  model: { name: "net", sha256: "a".repeat(64) } as ModelFile,
  node,
  host,
});

interface Under {
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

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** All nodes go, are missed, and come back. */
async function goAndReturn(under: Under): Promise<void> {
  const gone = under.jobs.splice(0);
  await under.pass(1_000);
  under.jobs.push(...gone);
  under.benchmarks.request();
  await settle();
}

/** It is back before anybody missed it. */
async function restart({ running }: Under, node: string): Promise<void> {
  running.get(node)?.end(new AppError("NODE_LOST", `${node} was restarted`));
  await settle();
}

describe("benchmarks of a daemon", () => {
  let stop: () => Promise<void> = () => Promise.resolve();
  afterEach(() => stop());

  async function start(
    jobs: BenchmarkJob[],
    options: {
      resumed?: number;
      measuredAgoMs?: number;
      wallTimeMs?: number;
      software?: Record<string, string>;
      /** Nodes that are yet to run the model. */
      opening?: Set<string>;
    } = {},
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
    stop = () => benchmarks.stop();
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

  it("never measures two nodes of one host at once, and a bounded number of hosts", async () => {
    const under = await start([job("cam-1", "h1"), job("cam-2", "h1"), job("gpu-1"), job("gpu-2")]);
    expect([...under.running.keys()]).toEqual(["cam-1", "gpu-1"]);
    under.running.get("cam-1")?.end();
    await settle();
    expect([...under.running.keys()]).toEqual(["gpu-1", "cam-2"]);
    expect(under.benchmarks.running()).toBe("net on gpu-1, net on cam-2");
    expect(under.benchmarks.lastOutcome()).toBe("net on cam-1: measured");
  });

  it("ends a run of the schedule in time, tells what is left, and begins with that the next time", async () => {
    const under = await start([job("a", "h"), job("b", "h")], {
      measuredAgoMs: HOUR_MS,
      wallTimeMs: 60_000,
    });
    expect(under.running.size).toBe(0);
    under.benchmarks.refreshAll("schedule");
    await settle();
    await under.pass(30_000);
    expect(under.running.get("a")?.limits).toMatchObject({ mayLook: true, timeLeftMs: 60_000 });
    under.running.get("a")?.end();
    await settle();
    expect([...under.running.keys()]).toEqual(["b"]);
    await under.pass(30_000);
    expect(under.running.size).toBe(0);
    expect(under.benchmarks.notices().join()).toMatch(/1 profiles to go \(net on b\)/);
    expect(under.benchmarks.problems()).toEqual([]);
    await under.pass(HOUR_MS);
    expect(under.running.size).toBe(0);
    under.benchmarks.refreshAll("schedule");
    await settle();
    expect([...under.running.keys()]).toEqual(["b"]);
    expect(under.benchmarks.notices()).toEqual([]);
    expect(under.saved.map((at) => at !== null)).toEqual([true, false, true]);
  });

  it("measures what is older than the maximum age without being asked, and nothing before that", async () => {
    const under = await start([job("a")], { measuredAgoMs: LIMITS.maxProfileAgeMs - HOUR_MS });
    expect(under.running.size).toBe(0);
    await under.pass(HOUR_MS - 2 * LIMITS.resyncMs);
    expect(under.running.size).toBe(0);
    for (let seconds = 0; seconds < 4; seconds += 1) await under.pass(LIMITS.resyncMs);
    expect([...under.running.keys()]).toEqual(["a"]);
  });

  it("goes on with the run that was under way when it was killed", async () => {
    const under = await start([job("a"), job("b")], {
      measuredAgoMs: HOUR_MS,
      resumed: HOUR_MS / 2,
    });
    expect([...under.running.keys()]).toEqual(["a", "b"]);
    for (const { end } of [...under.running.values()]) end();
    await settle();
    await under.pass(1_000);
    expect(under.running.size).toBe(0);
    expect(under.saved.at(-1)).toBeNull();
  });

  it("measures again in a changed environment, once", async () => {
    const under = await start([job("a")], { measuredAgoMs: HOUR_MS });
    under.stale.set("a", "two threads");
    await under.pass(1_000);
    expect(under.running.get("a")?.limits.mayLook).toBe(false);
    under.running.get("a")?.end();
    await settle();
    // The node's word and the profile still differ, whatever it measures.
    await under.pass(HOUR_MS);
    expect(under.running.size).toBe(0);
    under.stale.set("a", "three threads");
    await under.pass(1_000);
    expect(under.running.size).toBe(1);
  });

  it("gives up what runs on a node that has gone, and measures when it is back", async () => {
    const under = await start([job("a")]);
    const gone = under.jobs.splice(0);
    await under.pass(1_000);
    expect(under.running.size).toBe(0);
    expect(under.benchmarks.lastOutcome()).toBe("net on a: given up: a has gone");
    under.jobs.push(...gone);
    await under.pass(1_000);
    expect(under.running.size).toBe(1);
  });

  it("renews a profile after all whose node went while it was renewed", async () => {
    const under = await start([job("a")], { measuredAgoMs: HOUR_MS });
    under.benchmarks.refreshAll("schedule");
    await under.pass(1_000);
    expect(under.running.size).toBe(1);
    const gone = under.jobs.splice(0);
    await under.pass(1_000);
    under.jobs.push(...gone);
    await under.pass(1_000);
    expect(under.running.size).toBe(1);
    under.running.get("a")?.end();
    await under.pass(HOUR_MS);
    expect(under.running.size).toBe(0);
  });

  it("gives a node that goes at each attempt longer and longer pauses, and says so", async () => {
    const under = await start([job("a")]);
    await goAndReturn(under);
    expect(under.running.size).toBe(1);
    expect(under.benchmarks.problems()).toEqual([]);
    for (const [pauseMs, times] of [
      [10_000, 2],
      [20_000, 3],
    ] as const) {
      await goAndReturn(under);
      await under.pass(pauseMs - 1_000);
      expect(under.running.size).toBe(0);
      expect(under.benchmarks.problems().join()).toContain(`${times} times in a row`);
      await under.pass(1_000);
      expect(under.running.size).toBe(1);
    }
    under.running.get("a")?.end();
    await settle();
    expect(under.profiles.has("a")).toBe(true);
    expect(under.results).toEqual(["lost", "lost", "lost", "ok"]);
    under.profiles.clear();
    await under.pass(31_000);
    expect(under.running.size).toBe(1);
    await goAndReturn(under);
    expect(under.running.size).toBe(1);
  });

  it("takes a node that was restarted before anybody missed it for one that went", async () => {
    const under = await start([job("a")], { measuredAgoMs: HOUR_MS });
    under.benchmarks.refreshAll("schedule");
    await settle();
    await restart(under, "a");
    expect(under.running.size).toBe(1);
    await restart(under, "a");
    expect(under.benchmarks.problems().join()).toContain("2 times in a row");
    under.benchmarks.refreshAll("schedule");
    await under.pass(9_000);
    expect(under.running.size).toBe(0);
    await under.pass(1_000);
    under.running.get("a")?.end();
    await settle();
    expect(under.results).toEqual(["lost", "lost", "ok"]);
    expect(under.benchmarks.problems()).toEqual([]);
  });

  it("tries a node that went each time at once when it comes with other software", async () => {
    const software = { a: "1.30.0" };
    const under = await start([job("a")], { software });
    await restart(under, "a");
    await restart(under, "a");
    await under.pass(1_000);
    expect(under.running.size).toBe(0);
    software.a = "1.30.1";
    await under.pass(1_000);
    expect(under.running.size).toBe(1);
    expect(under.benchmarks.problems()).toEqual([]);
    await restart(under, "a");
    expect(under.running.size).toBe(1);
  });

  it("lets neither a schedule shorten such a pause nor a model that is gone be a problem", async () => {
    const under = await start([job("a")]);
    for (let times = 0; times < 2; times += 1) await goAndReturn(under);
    under.benchmarks.refreshAll("schedule");
    await settle();
    expect(under.running.size).toBe(0);
    expect(under.benchmarks.problems()).toHaveLength(1);
    under.benchmarks.refreshAll("operator");
    await settle();
    expect(under.running.size).toBe(1);
    for (let times = 0; times < 2; times += 1) await goAndReturn(under);
    expect(under.benchmarks.problems()).toHaveLength(1);
    under.configured.is = false;
    under.jobs.splice(0);
    await under.pass(1_000);
    expect(under.benchmarks.problems()).toEqual([]);
  });

  it("waits longer after each failure, names it, and keeps the profile it has", async () => {
    const under = await start([job("a")], { measuredAgoMs: 49 * HOUR_MS });
    const before = under.profiles.get("a");
    for (const pauseMs of [10_000, 20_000, 40_000]) {
      under.running.get("a")?.end(new Error("the disk is full"));
      await settle();
      expect(under.benchmarks.problems().join()).toContain("net on a: the disk is full");
      await under.pass(pauseMs - 1_000);
      expect(under.running.size).toBe(0);
      await under.pass(1_000);
      expect(under.running.size).toBe(1);
    }
    expect(under.profiles.get("a")).toBe(before);
  });

  it("meets a fault of the model's own once, not on each host", async () => {
    const told = (code: "MODEL_UNSUPPORTED" | "INFERENCE_MEMORY"): Error =>
      new AppError("COMMAND_FAILED", `a could not benchmark (${code})`, {
        cause: new AppError(code, "no"),
      });
    const jobs = [job("a", "h"), job("b", "h"), job("c", "h")];
    const under = await start(jobs, { software: { c: "another" } });
    under.running.get("a")?.end(told("MODEL_UNSUPPORTED"));
    await settle();
    expect([...under.running.keys()]).toEqual(["c"]);
    under.running.get("c")?.end();
    await settle();
    await under.pass(9_000);
    expect(under.running.size).toBe(0);
    expect(under.benchmarks.problems()).toEqual([
      "benchmark of net on a: a could not benchmark (MODEL_UNSUPPORTED)",
    ]);
    await under.pass(1_000);
    expect([...under.running.keys()]).toEqual(["b"]);
    // What one machine has too little of, another may have.
    under.running.get("b")?.end(told("INFERENCE_MEMORY"));
    await settle();
    expect([...under.running.keys()]).toEqual(["a"]);
  });

  it("tries a model that nobody has measured on one node, and others while that takes long", async () => {
    const opening = new Set(["a", "b", "c"]);
    const under = await start([job("a"), job("b"), job("c")], { opening });
    expect([...under.running.keys()]).toEqual(["a"]);
    under.running.get("a")?.end(new AppError("MODEL_UNREADABLE", "not an ONNX model"));
    await settle();
    expect(under.running.size).toBe(0);
    expect(under.benchmarks.problems()).toEqual(["benchmark of net on a: not an ONNX model"]);
    await under.pass(10_000);
    // The next try is another's: the first may have been to blame.
    expect([...under.running.keys()]).toEqual(["b"]);
    await under.pass(29_000);
    expect([...under.running.keys()]).toEqual(["b"]);
    await under.pass(1_000);
    expect([...under.running.keys()]).toEqual(["b", "c"]);
  });

  it("measures a model on all nodes once one has run it, and holds a node's own fault against it", async () => {
    const opening = new Set(["a", "b"]);
    const under = await start([job("a"), job("b")], { opening });
    expect([...under.running.keys()]).toEqual(["a"]);
    opening.delete("a");
    await under.pass(1_000);
    expect([...under.running.keys()]).toEqual(["a", "b"]);
    under.running.get("a")?.end();
    await settle();
    under.running.get("b")?.end(new AppError("INFERENCE_FAILED", "cannot load it"));
    under.jobs.push(job("c"));
    await under.pass(1_000);
    expect([...under.running.keys()]).toEqual(["c"]);
    expect(under.benchmarks.problems()).toEqual(["benchmark of net on b: cannot load it"]);
  });

  it.each(["MODEL_TOO_LARGE", "INFERENCE_CRASHED"] as const)(
    "lets no node wait for what may be another's own fault (%s), and forgives it nothing",
    async (code) => {
      const under = await start([job("a", "h"), job("b", "h")]);
      const fail = async (): Promise<void> => {
        const cause = new AppError(code, "no");
        under.running.get("a")?.end(new AppError("COMMAND_FAILED", "a failed", { cause }));
        await settle();
      };
      await fail();
      expect([...under.running.keys()]).toEqual(["b"]);
      await under.pass(10_000);
      under.running.get("b")?.end(new Error("not yet"));
      await settle();
      expect([...under.running.keys()]).toEqual(["a"]);
      await fail();
      await under.pass(10_000);
      expect([...under.running.keys()]).toEqual(["b"]);
      under.running.get("b")?.end();
      await settle();
      // Half of the second pause of "a" is left.
      expect(under.benchmarks.problems()).toEqual(["benchmark of net on a: a failed"]);
      await under.pass(9_000);
      expect(under.running.size).toBe(0);
      await under.pass(1_000);
      expect([...under.running.keys()]).toEqual(["a"]);
    },
  );

  it("believes its own clock where that of a node is wrong by years", async () => {
    const under = await start([job("a")], { measuredAgoMs: 49 * HOUR_MS });
    under.running.get("a")?.end();
    await settle();
    under.profiles.set("a", aProfile({ measuredAt: 0 }));
    await under.pass(HOUR_MS);
    expect(under.running.size).toBe(0);
    await under.pass(48 * HOUR_MS);
    expect(under.running.size).toBe(1);
  });
});
