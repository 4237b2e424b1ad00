import { describe, expect, it } from "vitest";
import { readMachineState } from "../../src/benchmark/machine.js";
import {
  judgeNoise,
  type MachineState,
  parseCpuPressure,
  parseFrequency,
  parseLoadAverage,
  parseTicks,
} from "../../src/benchmark/noise.js";

const LIMITS = {
  cpuPressurePercentMax: 10,
  stealPercentMax: 2,
  loadPerCoreMax: 0.7,
  frequencyChangePercentMax: 10,
};
const CONTEXT = { elapsedMs: 1_000, logicalCores: 2, limits: LIMITS };
const QUIET: MachineState = {
  loadAverage: 0.1,
  waitedMs: 5_000,
  ticks: { all: 10_000, stolen: 50 },
  frequencyMHz: 2_400,
};
const UNKNOWN: MachineState = {
  loadAverage: undefined,
  waitedMs: undefined,
  ticks: undefined,
  frequencyMHz: undefined,
};

describe("what /proc says", () => {
  it("is read as the kernel writes it", () => {
    expect(parseLoadAverage("6.92 7.27 9.72 2/94 25200\n")).toBe(6.92);
    const pressure =
      "some avg10=2.86 avg60=17.19 avg300=47.02 total=4300862241\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
    expect(parseCpuPressure(pressure)).toBeCloseTo(4_300_862.241);
    // Guest time, the ninth field, is counted in user already.
    expect(parseTicks("cpu  100 20 30 400 5 0 6 7 50 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n")).toEqual({
      all: 568,
      stolen: 7,
    });
    expect(parseFrequency("cpu MHz\t\t: 2000.000\nx: y\ncpu MHz\t\t: 3000.5\n")).toBe(2_500.25);
  });

  it.each(["", "rubbish\n", "some avg10=0.00", "cpu 1 2 3\n"])("is unknown in %j", (text) => {
    expect(parseLoadAverage(text)).toBeUndefined();
    expect(parseCpuPressure(text)).toBeUndefined();
    expect(parseTicks(text)).toBeUndefined();
    expect(parseFrequency(text)).toBeUndefined();
  });

  it("is read here", async () => {
    const state = await readMachineState();
    if (process.platform !== "linux") return;
    expect(state.loadAverage).toBeGreaterThanOrEqual(0);
    expect(state.ticks!.all).toBeGreaterThan(state.ticks!.stolen);
  });
});

describe("judgeNoise", () => {
  it("finds nothing on a quiet machine", () => {
    const after = {
      ...QUIET,
      loadAverage: 1.1,
      waitedMs: 5_010,
      ticks: { all: 10_200, stolen: 51 },
    };
    const noise = judgeNoise(QUIET, after, CONTEXT);
    expect(noise.marks).toEqual([]);
    expect(noise).toMatchObject({ loadAverage: 0.1, cpuPressurePercent: 1, stealPercent: 0.5 });
  });

  it.each([
    ["waiting tasks", { waitedMs: 5_200 }, "waited for a processor (20.0 %"],
    ["steal", { ticks: { all: 10_200, stolen: 60 } }, "hypervisor took time (5.0 %"],
    ["frequency", { frequencyMHz: 1_800 }, "frequency changed (25.0 %"],
  ])("marks %s", (_, change, text) => {
    const { marks } = judgeNoise(QUIET, { ...QUIET, ...change }, CONTEXT);
    expect(marks).toHaveLength(1);
    expect(marks[0]).toContain(text);
  });

  it("marks a load that was there before, not its own", () => {
    expect(judgeNoise({ ...QUIET, loadAverage: 1.5 }, QUIET, CONTEXT).marks).toHaveLength(1);
    expect(judgeNoise(QUIET, { ...QUIET, loadAverage: 1.5 }, CONTEXT).marks).toEqual([]);
  });

  it("marks nothing it does not know, and says so", () => {
    expect(judgeNoise(UNKNOWN, QUIET, CONTEXT)).toEqual({
      loadAverage: null,
      cpuPressurePercent: null,
      stealPercent: null,
      frequencyChangePercent: null,
      marks: [],
    });
  });
});
