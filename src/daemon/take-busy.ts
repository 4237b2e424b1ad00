import { BUSY_MS } from "./busy-nodes.js";
import type { Running } from "./running.js";

/** An answer means nothing but that it was heard; without one the next report tells again. */
const ANSWER_TIMEOUT_MS = 5_000;

/** A runtime says whether its node is overloaded: benchmarks of that node make room, also on its agent. */
export function takeBusy(running: Running, node: string, isBusy: boolean): void {
  const { busy, parts, self, log } = running;
  busy.report(node, isBusy);
  if (node === self.node || running.progress.of(node) === undefined) return;
  if (!busy.takeTelling(node)) return;
  const told = parts.telemetry?.command(
    node,
    "yield",
    { forMs: BUSY_MS },
    { timeoutMs: ANSWER_TIMEOUT_MS },
  );
  told?.catch((error: unknown) => log.debug({ node, err: error }, "not told to make room"));
}
