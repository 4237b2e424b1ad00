import { readFile } from "node:fs/promises";
import {
  type MachineState,
  parseCpuPressure,
  parseFrequency,
  parseLoadAverage,
  parseTicks,
} from "./noise.js";

/** Files that this kernel lacks or a sandbox hides leave their part undefined. */
export async function readMachineState(): Promise<MachineState> {
  const [load, pressure, stat, cpuinfo] = await Promise.all(
    ["loadavg", "pressure/cpu", "stat", "cpuinfo"].map((file) =>
      readFile(`/proc/${file}`, "utf8").catch(() => ""),
    ),
  );
  return {
    loadAverage: parseLoadAverage(load ?? ""),
    waitedMs: parseCpuPressure(pressure ?? ""),
    ticks: parseTicks(stat ?? ""),
    frequencyMHz: parseFrequency(cpuinfo ?? ""),
  };
}
