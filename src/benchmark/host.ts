import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { arch, cpus, platform } from "node:os";
import type { Environment } from "../protocol/index.js";
import type { BenchmarkOptions } from "./options.js";

const BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id";
const HOST_ID_CHARACTERS = 32;

/**
 * The same for all processes of one machine, containers included, until it boots again: they share its
 * processors. Undefined where the system does not tell. It is a hash, so that the boot id stays private.
 */
export async function readHostId(): Promise<string | undefined> {
  const bootId = (await readFile(BOOT_ID_FILE, "utf8").catch(() => "")).trim();
  if (bootId === "") return undefined;
  const hash = createHash("sha256").update(`scissiond host ${bootId}`);
  return hash.digest("hex").slice(0, HOST_ID_CHARACTERS);
}

/** In what a benchmark on this node would be measured; equal to what the child process finds. */
export function describeEnvironment(
  { inference }: Pick<BenchmarkOptions, "inference">,
  versions: { node: string; onnxruntime: string },
): Omit<Environment, "emulatedSlowdown"> {
  const cores = cpus();
  return {
    cpuModel: cores[0]?.model.trim() ?? "unknown",
    logicalCores: Math.max(cores.length, 1),
    threads: inference.threads,
    onnxruntimeVersion: versions.onnxruntime,
    nodeVersion: `v${versions.node}`,
    platform: `${platform()}-${arch()}`,
    provider: inference.executionProviders.join(","),
  };
}
