import { afterEach, describe, expect, it } from "vitest";
import { AppError } from "../../src/core/index.js";
import type { BenchmarkJob } from "../../src/daemon/benchmark-job.js";
import {
  HOUR_MS,
  job,
  LIMITS,
  settle,
  startLoop,
  type Surroundings,
} from "../support/benchmark-loop.js";
import { aProfile } from "../support/profiles.js";

describe("benchmarks of a daemon", () => {
  const cleanup: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of cleanup.splice(0)) await end();
  });
  const start = (jobs: BenchmarkJob[], options?: Surroundings) => startLoop(cleanup, jobs, options);

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
    expect(under.results).toEqual(["ok", "given_up"]);
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
