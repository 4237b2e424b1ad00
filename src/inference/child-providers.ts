import { listSupportedBackends } from "onnxruntime-node";
import { AppError, errorMessage, printable } from "../core/index.js";
import { openSession } from "./child-session.js";
import { tinyModel } from "./child-tiny.js";
import type { ChildConfig, ProviderState } from "./messages.js";

const REASON_CHARACTERS_MAX = 300;

/**
 * Whether an execution provider computes here. ONNX Runtime ignores some names that it does not
 * know and would run on the CPU, so a tiny model is run with that fallback forbidden.
 */
export async function probeProvider(name: string, config: ChildConfig): Promise<ProviderState> {
  const known = listSupportedBackends().map((backend) => backend.name);
  if (!known.includes(name)) {
    const reason = `this build of ONNX Runtime has ${known.join(", ")}`;
    return { name, available: false, reason };
  }
  const { bytes, feeds, outputs } = tinyModel();
  try {
    const alone = { ...config, executionProviders: [name] };
    const session = await openSession(bytes, alone, {
      optimisation: "all",
      forbidCpuFallback: name !== "cpu",
    });
    try {
      await session.run(feeds, outputs);
    } finally {
      await session.release();
    }
    return { name, available: true };
  } catch (error) {
    const reason = printable(errorMessage(error), REASON_CHARACTERS_MAX);
    return { name, available: false, reason };
  }
}

/**
 * Refuses to go on without a provider that was asked for.
 * @throws AppError INFERENCE_PROVIDER, naming the provider and why it is missing
 */
export async function requireProviders(config: ChildConfig): Promise<void> {
  for (const name of config.executionProviders) {
    if (name === "cpu") continue;
    const state = await probeProvider(name, config);
    if (state.available) continue;
    throw new AppError(
      "INFERENCE_PROVIDER",
      `execution provider ${name} is not available here: ${state.reason ?? "no reason given"}; install it or take it out of executionProviders`,
    );
  }
}
