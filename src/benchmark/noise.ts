import type { Noise } from "../protocol/index.js";

/** What /proc tells of the machine at one moment; undefined where a file is missing or unlike. */
export interface MachineState {
  /** Tasks that ran or wanted to, averaged over the last minute. */
  loadAverage: number | undefined;
  /** Time since boot in which some task waited for a processor. */
  waitedMs: number | undefined;
  /** Time of all processors since boot, and what of it the hypervisor gave to others; in ticks. */
  ticks: { all: number; stolen: number } | undefined;
  /** Mean of the processors. */
  frequencyMHz: number | undefined;
}

export interface NoiseLimits {
  cpuPressurePercentMax: number;
  stealPercentMax: number;
  loadPerCoreMax: number;
  frequencyChangePercentMax: number;
}

/** /proc/loadavg: "0.42 0.30 0.25 1/234 5678". */
export function parseLoadAverage(text: string): number | undefined {
  return numberOf(/^(\d+\.\d+) /.exec(text)?.[1]);
}

/** /proc/pressure/cpu: "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345", in microseconds. */
export function parseCpuPressure(text: string): number | undefined {
  const total = numberOf(/^some .*\btotal=(\d+)$/m.exec(text)?.[1]);
  return total === undefined ? undefined : total / 1_000;
}

/** /proc/stat: "cpu user nice system idle iowait irq softirq steal …", of which guests are a part of user. */
export function parseTicks(text: string): MachineState["ticks"] {
  const fields = /^cpu +(\d+(?: \d+){7,})/m.exec(text)?.[1]?.split(" ").slice(0, 8).map(Number);
  if (fields === undefined) return undefined;
  return { all: fields.reduce((sum, field) => sum + field, 0), stolen: fields[7] ?? 0 };
}

/** /proc/cpuinfo: "cpu MHz : 2400.000" for each processor, on some architectures. */
export function parseFrequency(text: string): number | undefined {
  const all = [...text.matchAll(/^cpu MHz\s*: (\d+(?:\.\d+)?)$/gm)].map((match) =>
    Number(match[1]),
  );
  return all.length === 0 ? undefined : all.reduce((sum, one) => sum + one, 0) / all.length;
}

/** What disturbed a measurement, from the machine's state before and after it. */
export function judgeNoise(
  before: MachineState,
  after: MachineState,
  context: { elapsedMs: number; logicalCores: number; limits: NoiseLimits },
): Noise {
  const { elapsedMs, logicalCores, limits } = context;
  const cpuPressurePercent = percent(difference(before.waitedMs, after.waitedMs), elapsedMs);
  const stealPercent = percent(
    difference(before.ticks?.stolen, after.ticks?.stolen),
    difference(before.ticks?.all, after.ticks?.all) ?? 0,
  );
  // The benchmark itself is in the load afterwards, but not yet in the one before.
  const loadAverage = before.loadAverage ?? null;
  const frequencyChange = difference(before.frequencyMHz, after.frequencyMHz);
  const frequencyChangePercent = percent(
    frequencyChange === undefined ? undefined : Math.abs(frequencyChange),
    before.frequencyMHz ?? 0,
  );
  const marks = [
    mark("tasks waited for a processor", cpuPressurePercent, limits.cpuPressurePercentMax),
    mark("the hypervisor took time", stealPercent, limits.stealPercentMax),
    mark(
      "the processors' frequency changed",
      frequencyChangePercent,
      limits.frequencyChangePercentMax,
    ),
    loadAverage !== null && loadAverage > limits.loadPerCoreMax * logicalCores
      ? `the load average was ${loadAverage} on ${logicalCores} cores`
      : undefined,
  ].filter((text) => text !== undefined);
  return { loadAverage, cpuPressurePercent, stealPercent, frequencyChangePercent, marks };
}

function mark(what: string, measured: number | null, max: number): string | undefined {
  if (measured === null || measured <= max) return undefined;
  return `${what} (${measured.toFixed(1)} %, more than ${max} %)`;
}

function percent(part: number | undefined, whole: number): number | null {
  return part === undefined || whole <= 0 ? null : Math.max(0, (100 * part) / whole);
}

function difference(before: number | undefined, after: number | undefined): number | undefined {
  return before === undefined || after === undefined ? undefined : after - before;
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
