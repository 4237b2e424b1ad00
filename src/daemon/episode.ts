import type { PlannedPartition } from "../planner/index.js";
import type { Standing } from "./confirmations.js";

/** After a plan could not be confirmed, only measured partitions count for so long. */
const PAUSE_MS = 300_000;
const MS_PER_SECOND = 1_000;

/** The confirming of a better plan: what was measured may make another one the best. Times are monotonic. */
export type Episode =
  | { kind: "under way"; sinceMs: number; rounds: number; asked: string }
  | { kind: "given up"; untilMs: number; why: string };

/** What is to become of a plan that the policy would publish. */
export type Step =
  | { kind: "publish"; unconfirmed?: string }
  | { kind: "wait"; what: string; open: readonly PlannedPartition[] }
  | { kind: "give up"; why: string };

export interface EpisodeInputs {
  /** Partitions of the plan that were not measured. */
  missing: readonly PlannedPartition[];
  standing: (node: string) => Standing;
  nowMs: number;
  limits: { roundsMax: number; timeoutMs: number };
}

/**
 * Publish it, wait for measurements, or give it up. A node that cannot measure does not keep a plan from
 * being published; one on which its partition failed does.
 */
export function nextStep(
  episode: Episode | undefined,
  inputs: EpisodeInputs,
): { episode: Episode | undefined; step: Step } {
  const { missing, standing, nowMs, limits } = inputs;
  if (missing.length === 0) return { episode: undefined, step: { kind: "publish" } };
  const open: PlannedPartition[] = [];
  const unable: string[] = [];
  for (const partition of missing) {
    const known = standing(partition.node);
    if (known.kind === "failed") return { episode, step: { kind: "give up", why: known.reason } };
    if (known.kind === "open") open.push(partition);
    else unable.push(known.reason);
  }
  if (open.length === 0) {
    const unconfirmed = [...new Set(unable)].join("; ");
    return { episode: undefined, step: { kind: "publish", unconfirmed } };
  }
  if (episode?.kind === "given up" && nowMs < episode.untilMs) {
    return { episode, step: { kind: "give up", why: episode.why } };
  }
  const what = open
    .map(({ node, firstLayer, lastLayer }) => `layers ${firstLayer}–${lastLayer} on ${node}`)
    .join(", ");
  const before = episode?.kind === "under way" ? episode : { sinceMs: nowMs, rounds: 0, asked: "" };
  const rounds = before.rounds + (before.asked === what ? 0 : 1);
  const why = excess({ rounds, elapsedMs: nowMs - before.sinceMs, what }, limits);
  if (why !== undefined) {
    const untilMs = nowMs + PAUSE_MS;
    return { episode: { kind: "given up", untilMs, why }, step: { kind: "give up", why } };
  }
  return {
    episode: { kind: "under way", sinceMs: before.sinceMs, rounds, asked: what },
    step: { kind: "wait", what, open },
  };
}

function excess(
  now: { rounds: number; elapsedMs: number; what: string },
  limits: EpisodeInputs["limits"],
): string | undefined {
  if (now.rounds > limits.roundsMax) {
    return `the best was another one after each of ${limits.roundsMax} rounds of measuring`;
  }
  if (now.elapsedMs < limits.timeoutMs) return undefined;
  return `${now.what} not measured within ${limits.timeoutMs / MS_PER_SECOND} s`;
}
