import { afterEach, describe, expect, it } from "vitest";
import { AppError } from "../../src/core/index.js";
import type { BenchmarkJob } from "../../src/daemon/benchmark-job.js";
import {
  HOUR_MS,
  job,
  settle,
  startLoop,
  type Surroundings,
  type Under,
} from "../support/benchmark-loop.js";

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

describe("benchmarks whose node goes", () => {
  const cleanup: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of cleanup.splice(0)) await end();
  });
  const start = (jobs: BenchmarkJob[], options?: Surroundings) => startLoop(cleanup, jobs, options);

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
});
