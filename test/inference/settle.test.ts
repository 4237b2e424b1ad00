import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { afterEach, describe, expect, it } from "vitest";
import { createSettler, parseProcessors } from "../../src/inference/settle.js";
import { until } from "../support/poll.js";
import { ManualClock } from "../support/manual-clock.js";

const allowed = async (pid: number | string): Promise<string | undefined> =>
  /^Cpus_allowed_list:\s+(\S+)$/m.exec(
    await readFile(`/proc/${pid}/status`, "utf8").catch(() => ""),
  )?.[1];

let child: ChildProcess | undefined;
afterEach(() => child?.kill("SIGKILL"));

function sleeper(): number {
  child = spawn("sleep", ["60"], { stdio: "ignore" });
  return child.pid ?? 0;
}

describe("createSettler", () => {
  it("moves the process to the processor on which the yardstick is shortest", async (context) => {
    const processors = parseProcessors((await allowed("self")) ?? "");
    const best = processors.at(-1);
    if (processors.length < 2 || best === undefined) {
      context.skip("there is no second processor here");
      return;
    }
    const pid = sleeper();
    const settler = createSettler({
      ...{ pid, isMovable: true, clock: new ManualClock() },
      readYardstick: async () => ((await allowed(pid)) === String(best) ? 1 : 1.7),
    });
    await settler.settle(2_000);
    expect(await allowed(pid)).toBe(String(best));
  });

  it("leaves the choice to the system where all processors are alike", async () => {
    const pid = sleeper();
    const before = await allowed(pid);
    const settler = createSettler({
      ...{ pid, isMovable: true, clock: new ManualClock() },
      readYardstick: () => Promise.resolve(1),
    });
    await settler.settle(2_000);
    expect(await allowed(pid)).toBe(before);
  });

  it("leaves it where it is while the processor is as fast as it was", async () => {
    const pid = sleeper();
    let readings = 0;
    const settler = createSettler({
      ...{ pid, isMovable: true, clock: new ManualClock() },
      readYardstick: () => Promise.resolve(readings++ % 2 === 0 ? 1 : 1.05),
    });
    await settler.settle(2_000);
    const before = readings;
    await settler.settle(2_000);
    expect(readings).toBe(before + 1);
  });

  it("waits for a slow processor to be fast again, but not for ever", async () => {
    const clock = new ManualClock();
    let readings = 0;
    let yardstickMs = 1;
    const settler = createSettler({
      ...{ pid: sleeper(), isMovable: false, clock },
      readYardstick: () => {
        readings += 1;
        return Promise.resolve(yardstickMs);
      },
    });
    await settler.settle(2_000);
    yardstickMs = 1.7;
    const waiting = settler.settle(2_000);
    let isOver = false;
    void waiting.then(() => (isOver = true));
    const startedAtMs = clock.monotonicMs();
    await until(() => {
      if (!isOver && clock.sleeping > 0) clock.advance(25);
      return isOver;
    });
    expect(await waiting).toBe(false);
    expect(clock.monotonicMs() - startedAtMs).toBe(2_000);
    // 25, 50, 100 ms and so on.
    expect(readings).toBe(1 + 1 + 7);
    yardstickMs = 1.1;
    expect(await settler.settle(0)).toBe(true);
  });

  it("waits no longer when the work is given up", async () => {
    const giveUp = new AbortController();
    const readings = [1, 1.7];
    const settler = createSettler({
      ...{ pid: sleeper(), isMovable: false, clock: new ManualClock(), signal: giveUp.signal },
      readYardstick: () => {
        const yardstickMs = readings.shift();
        if (yardstickMs === undefined) return Promise.reject(new Error("the process has gone"));
        return Promise.resolve(yardstickMs);
      },
    });
    await settler.settle(2_000);
    const waiting = settler.settle(2_000);
    await until(() => readings.length === 0);
    giveUp.abort();
    await expect(waiting).rejects.toThrow("the process has gone");
  });
});

describe("parseProcessors", () => {
  it.each([
    ["0-1", [0, 1]],
    ["0,2-3", [0, 2, 3]],
    ["5", [5]],
    ["0-127", [0, 1, 2, 3]],
    ["", []],
    ["x", []],
  ])("%s", (list, processors) => {
    expect(parseProcessors(list)).toEqual(processors);
  });
});
