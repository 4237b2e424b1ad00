import type { LiveWork } from "../benchmark/index.js";
import { LIVE_WORK_MS } from "./busy-nodes.js";
import type { Running } from "./running.js";

/** An answer means nothing but that it was heard; without one the next report tells again. */
const ANSWER_TIMEOUT_MS = 5_000;

/** A runtime tells of live work on its node: what is measured on that node makes room. */
export function takeBusy(running: Running, node: string, work: Exclude<LiveWork, "none">): void {
  const { busy, parts, progress } = running;
  busy.report(node, work);
  const isMeasured =
    progress.of(node) !== undefined || parts.confirmations?.isRunning(node) === true;
  if (isMeasured) tellLiveWork(running, node);
}

/** Tells an agent, which hears no runtimes itself, of the live work on its node, if there is any. */
export function tellLiveWork({ busy, parts, self, log }: Running, node: string): void {
  if (node === self.node) return;
  const telling = busy.takeTelling(node);
  if (telling === undefined) return;
  const told = parts.telemetry?.command(
    node,
    "yield",
    { forMs: LIVE_WORK_MS, overload: telling === "overload" },
    { timeoutMs: ANSWER_TIMEOUT_MS },
  );
  told?.catch((error: unknown) => log.debug({ node, err: error }, "not told to make room"));
}
