import { findMissingProviders } from "../benchmark/index.js";
import type { Running } from "./running.js";

/**
 * Tries the execution providers of this node, and tells in its state which ones are missing. Ends with
 * the daemon, and whatever an earlier try would still find is not told any more.
 */
export async function tellProviders(running: Running): Promise<void> {
  const { log, clock, context, desired, probing } = running;
  const { inference } = desired.config.benchmark;
  probing.latest.abort();
  probing.latest = new AbortController();
  const signal = AbortSignal.any([probing.ended.signal, probing.latest.signal]);
  const missingProviders = await findMissingProviders(inference, { log, clock, signal });
  if (missingProviders === undefined) return;
  const { missingProviders: known = [] } = running.self;
  if (missingProviders.length === 0 && known.length === 0) return;
  running.self = { ...running.self, missingProviders };
  context.recordNode(running.self);
  running.parts.telemetry?.setState(running.self);
}
