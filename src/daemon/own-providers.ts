import { findMissingProviders } from "../benchmark/index.js";
import { errorMessage } from "../core/index.js";
import type { Running } from "./running.js";

/** Tries the execution providers of this node, and tells in its state which ones are missing. */
export async function tellProviders(running: Running, signal: AbortSignal): Promise<void> {
  const { log, clock, context, desired } = running;
  const { inference } = desired.config.benchmark;
  try {
    const missingProviders = await findMissingProviders(inference, { log, clock, signal });
    if (missingProviders.length > 0) log.error({ missingProviders }, "no such execution provider");
    const { missingProviders: known = [] } = running.self;
    if (missingProviders.length === 0 && known.length === 0) return;
    running.self = { ...running.self, missingProviders };
    context.recordNode(running.self);
    running.parts.telemetry?.setState(running.self);
  } catch (error) {
    log.debug({ problem: errorMessage(error) }, "execution providers not tried");
  }
}
