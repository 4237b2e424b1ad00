import { performance } from "node:perf_hooks";

const MICROSECONDS_PER_MS = 1_000;

export interface Timed<T> {
  value: T;
  wallMs: number;
  /** Processor time of the whole process meanwhile. */
  cpuMs: number;
}

export async function timed<T>(work: () => Promise<T>): Promise<Timed<T>> {
  const beforeMs = performance.now();
  const cpuBefore = process.cpuUsage();
  const value = await work();
  const { user, system } = process.cpuUsage(cpuBefore);
  const wallMs = performance.now() - beforeMs;
  return { value, wallMs, cpuMs: (user + system) / MICROSECONDS_PER_MS };
}
