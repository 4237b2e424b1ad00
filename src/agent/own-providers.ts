import { findMissingProviders } from "../benchmark/index.js";
import { type Clock, errorMessage, type Logger } from "../core/index.js";
import type { MissingProvider } from "../protocol/index.js";
import type { AgentOptions } from "./options.js";

/** Tries the execution providers of this node; `tell` is called where some are missing. */
export async function tellProviders(
  { inference }: AgentOptions["benchmark"],
  deps: { log: Logger; clock: Clock; signal: AbortSignal },
  tell: (missing: MissingProvider[]) => void,
): Promise<void> {
  const { log } = deps;
  try {
    const missingProviders = await findMissingProviders(inference, deps);
    if (missingProviders.length === 0) return;
    log.error({ missingProviders }, "no such execution provider");
    tell(missingProviders);
  } catch (error) {
    log.debug({ problem: errorMessage(error) }, "execution providers not tried");
  }
}
