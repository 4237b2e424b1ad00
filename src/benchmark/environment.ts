import type { Environment } from "../protocol/index.js";

/** Whether times of the one say anything of the other; where not, a profile is stale. */
export function isSameEnvironment(a: Environment, b: Environment): boolean {
  return (
    a.cpuModel === b.cpuModel &&
    a.logicalCores === b.logicalCores &&
    a.threads === b.threads &&
    a.onnxruntimeVersion === b.onnxruntimeVersion &&
    a.nodeVersion === b.nodeVersion &&
    a.platform === b.platform &&
    a.provider === b.provider &&
    a.emulatedSlowdown === b.emulatedSlowdown
  );
}
