import { describe, expect, it } from "vitest";
import { undisturbed } from "../../src/inference/disturbance.js";

const clean = (wallMs: number) => ({ wallMs, cpuMs: wallMs });
const waited = (wallMs: number) => ({ ...clean(wallMs), cpuMs: wallMs / 2 });
const wanted = (repeats: number) => ({ repeats, isOneThread: false });

describe("undisturbed", () => {
  it("counts only runs in which the process had the processor", () => {
    const samples = [clean(10), waited(30), clean(11), clean(12)];
    expect(undisturbed(samples, wanted(3))).toEqual({
      samplesMs: [10, 11, 12],
      isSettled: true,
    });
  });

  it("asks for more while too few were left alone", () => {
    expect(undisturbed([clean(10), waited(30), waited(31)], wanted(2)).isSettled).toBe(false);
    expect(undisturbed([clean(10)], wanted(2)).isSettled).toBe(false);
  });

  it("counts all of them where the process waits all along", () => {
    const samples = [waited(30), waited(31), waited(32), waited(33)];
    expect(undisturbed(samples, wanted(2))).toEqual({
      samplesMs: [30, 31, 32, 33],
      isSettled: true,
    });
  });

  it("counts processor time on a machine that is busy all along, where nothing else computes", () => {
    const samples = [waited(30), clean(15.5), waited(32), waited(33), waited(31)];
    expect(undisturbed(samples, { ...wanted(2), isOneThread: true })).toMatchObject({
      samplesMs: [15, 15.5, 16, 16.5, 15.5],
      isSettled: true,
    });
  });

  it("takes several threads for what they are, and forgives what clocks are wrong by", () => {
    const samples = [
      { ...clean(10), cpuMs: 19 },
      { ...clean(0.05), cpuMs: 0 },
      { ...clean(10), cpuMs: 9.8 },
    ];
    expect(undisturbed(samples, wanted(3)).samplesMs).toEqual([10, 0.05, 10]);
  });
});
