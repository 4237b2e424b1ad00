import { describe, expect, it } from "vitest";
import { undisturbed } from "../../src/inference/disturbance.js";

const clean = (wallMs: number) => ({ wallMs, cpuMs: wallMs });
const waited = (wallMs: number) => ({ wallMs, cpuMs: wallMs / 2 });

describe("undisturbed", () => {
  it("counts only runs in which the process had the processor", () => {
    const samples = [clean(10), waited(30), clean(11), clean(12)];
    expect(undisturbed(samples, 3)).toEqual({ samplesMs: [10, 11, 12], isSettled: true });
  });

  it("asks for more while too few were left alone", () => {
    expect(undisturbed([clean(10), waited(30), waited(31)], 2).isSettled).toBe(false);
    expect(undisturbed([clean(10)], 2).isSettled).toBe(false);
  });

  it("counts all of them where the process waits all along", () => {
    const samples = [waited(30), waited(31), waited(32), waited(33)];
    expect(undisturbed(samples, 2)).toEqual({ samplesMs: [30, 31, 32, 33], isSettled: true });
  });

  it("takes several threads for what they are, and forgives what clocks are wrong by", () => {
    const samples = [
      { wallMs: 10, cpuMs: 19 },
      { wallMs: 0.05, cpuMs: 0 },
      { wallMs: 10, cpuMs: 9.8 },
    ];
    expect(undisturbed(samples, 3).samplesMs).toEqual([10, 0.05, 10]);
  });
});
