import { AppError } from "../core/index.js";
import type { Control, Decision, Pin } from "../protocol/index.js";
import { type StoreState, withControl, withDecision, withSchedule } from "../store/index.js";
import { pipelinesOf, planOf, type Running, wake } from "./running.js";

/**
 * Does what an operator asks for. The wish is on disk, with a decision record, when this resolves; the
 * one loop that plans acts on it. Throws USAGE for a pipeline that is not, or has nothing to go back to.
 */
export async function control(
  running: Running,
  pipeline: string,
  { command, by }: { command: Control; by: string },
): Promise<void> {
  if (!pipelinesOf(running).some(({ name }) => name === pipeline)) {
    throw new AppError("USAGE", `no pipeline is called ${pipeline}`);
  }
  const { store, parts } = running;
  const wish = wishOf(command, pipeline, store.state);
  const decision = recordOf(running, pipeline, { command, by });
  await store.update((state) => {
    const wished = wish === undefined ? state : withControl(state, { pipeline, ...wish });
    // Together with the record: a daemon that is killed right behind it measures when it is back.
    const begun =
      command.action === "bench" ? withSchedule(wished, { refreshBeforeAt: decision.at }) : wished;
    return withDecision(begun, decision);
  });
  running.log.info({ pipeline, action: command.action, by }, "operator's command");
  if (command.action === "bench") parts.benchmarks?.refreshAll("operator");
  if (command.action === "replan") parts.reconciler?.forget(pipeline);
  wake(running);
}

/** What stays in force of a command; undefined where nothing does. */
function wishOf(
  command: Control,
  pipeline: string,
  state: StoreState,
): { isPaused: boolean; pin: Pin | null } | undefined {
  switch (command.action) {
    case "pause": {
      const pin = state.controls?.find((each) => each.pipeline === pipeline)?.pin ?? null;
      return { isPaused: true, pin };
    }
    case "resume":
      return { isPaused: false, pin: null };
    case "pin":
      return { isPaused: false, pin: command.partitions };
    case "rollback": {
      const previous = state.pipelines.find(({ name }) => name === pipeline)?.previous;
      if (previous === undefined) {
        throw new AppError("USAGE", `${pipeline} has no configuration to go back to`);
      }
      return { isPaused: false, pin: previous };
    }
    case "replan":
    case "bench":
      return undefined;
  }
}

function recordOf(
  running: Running,
  pipeline: string,
  { command, by }: { command: Control; by: string },
): Decision {
  const subject = `${by} asked for ${command.action}`;
  const revision = planOf(running, pipeline)?.revision ?? null;
  return {
    at: running.clock.nowMs(),
    pipeline,
    triggers: [{ kind: "operator", subject, before: null, after: null, unit: "" }],
    verdict: "kept",
    currentLatencyMs: null,
    bestLatencyMs: null,
    gainPercent: null,
    revision,
    summary: subject,
  };
}
