import type { LiveWork } from "../benchmark/index.js";
import { LIVE_WORK_MS } from "./busy-hosts.js";
import type { Running } from "./running.js";
import { hostOf } from "./wanted.js";

/** An answer means nothing but that it was heard; without one the next report tells again. */
const ANSWER_TIMEOUT_MS = 5_000;

/**
 * A runtime tells of live work on its node: whatever is measured on that machine makes room, also for
 * other nodes of it.
 */
export function takeBusy(running: Running, node: string, work: Exclude<LiveWork, "none">): void {
  const { busy, parts, progress } = running;
  const host = hostOfNode(running, node);
  busy.report(host, work);
  const benchmarked = progress.all().map((one) => one.node);
  for (const one of new Set([...benchmarked, ...(parts.confirmations?.nodes() ?? [])])) {
    if (hostOfNode(running, one) === host) tellLiveWork(running, one);
  }
}

/** Tells an agent, which hears no runtimes itself, of the live work on its machine, if there is any. */
export function tellLiveWork(running: Running, node: string): void {
  const { busy, parts, self, log } = running;
  if (node === self.node) return;
  const telling = busy.takeTelling(node, hostOfNode(running, node));
  if (telling === undefined) return;
  const told = parts.telemetry?.command(
    node,
    "yield",
    { forMs: LIVE_WORK_MS, overload: telling === "overload" },
    { timeoutMs: ANSWER_TIMEOUT_MS },
  );
  told?.catch((error: unknown) => log.debug({ node, err: error }, "not told to make room"));
}

function hostOfNode({ context }: Running, node: string): string {
  return hostOf(context.node(node) ?? { node });
}
