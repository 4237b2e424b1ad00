import type { Decision, Trigger } from "../protocol/index.js";
import type { DriftOptions } from "./options.js";
import type { Verdict } from "./policy.js";

const TRIGGERS_TOLD_MAX = 3;

/** A verdict, or what confirming a better plan made of it. */
export type Ruling =
  | Verdict
  /** A better plan is measured first. */
  | { kind: "confirm"; gainPercent: number | null; what: string }
  /** A better plan could not be measured. */
  | { kind: "unconfirmed"; gainPercent: number | null; why: string };

/** What a decision's sentence is made of. Latencies are those that are expected in the new context. */
export interface Story {
  triggers: readonly Trigger[];
  verdict: Ruling;
  /** How far the best plan was measured; absent where that is turned off. */
  confirmation?: Decision["confirmation"] | undefined;
  /** In force before the decision; null before the first. */
  revision: number | null;
  /** The one that is published, where one is. */
  nextRevision: number;
  currentLatencyMs: number | null;
  bestLatencyMs: number | null;
  /** Why nothing is feasible; only with an infeasible verdict. */
  infeasible: string | null;
  options: Pick<DriftOptions, "regimeSeconds">;
}

/** One sentence for people: what changed, what it means, what was done. */
export function tell(story: Story): string {
  const parts = [tellTriggers(story.triggers), tellLatencies(story)].filter((part) => part !== "");
  return `${parts.join("; ")}: ${tellVerdict(story)}`;
}

/** "bandwidth cam-1 → edge-1 fell 62 % (12.4 → 4.7 Mbps) for 30 s". */
export function tellTrigger(trigger: Trigger): string {
  const { subject, before, after, unit, heldSeconds } = trigger;
  if (after === null) return subject;
  const held = heldSeconds === undefined ? "" : ` for ${short(heldSeconds)} s`;
  if (before === null || before === 0) return `${subject} is ${short(after)} ${unit}${held}`;
  const percent = Math.round(Math.abs(after / before - 1) * 100);
  const verb = after < before ? "fell" : "rose";
  return `${subject} ${verb} ${percent} % (${short(before)} → ${short(after)} ${unit})${held}`;
}

function tellTriggers(triggers: readonly Trigger[]): string {
  const told = triggers.slice(0, TRIGGERS_TOLD_MAX).map(tellTrigger);
  const hidden = triggers.length - told.length;
  if (hidden > 0) told.push(`${hidden} more`);
  return told.join(", ");
}

function tellLatencies(story: Story): string {
  const { revision, currentLatencyMs, bestLatencyMs, verdict } = story;
  const current =
    revision === null
      ? ""
      : currentLatencyMs === null
        ? `revision ${revision} cannot run any more`
        : `revision ${revision} would take ${short(currentLatencyMs)} ms`;
  const gainPercent = "gainPercent" in verdict ? verdict.gainPercent : null;
  const gain =
    gainPercent === null || Math.round(gainPercent) <= 0 ? "" : ` (−${Math.round(gainPercent)} %)`;
  const best = bestLatencyMs === null ? "" : `best is ${short(bestLatencyMs)} ms${gain}`;
  return [current, best].filter((part) => part !== "").join(", ");
}

function tellVerdict(story: Story): string {
  const { verdict, revision, nextRevision, infeasible } = story;
  switch (verdict.kind) {
    case "publish":
      return `published revision ${nextRevision}${tellConfirmation(story.confirmation)}`;
    case "confirm":
      return `confirming ${verdict.what} before that, revision ${revision ?? 0} stays`;
    case "unconfirmed":
      return `kept revision ${revision ?? 0}, the best could not be confirmed (${verdict.why})`;
    case "keep":
      return `kept revision ${revision ?? 0}, ${tellKeeping(verdict, story)}`;
    case "defer": {
      const end =
        verdict.for === "cooldown"
          ? "the cooldown ends"
          : "the limit of plans in an hour allows one";
      return `kept revision ${revision ?? 0} for another ${short(verdict.waitMs / 1_000)} s, until ${end}`;
    }
    case "infeasible":
      return `no plan is possible: ${infeasible ?? "unknown reason"}`;
  }
}

function tellConfirmation(confirmation: Story["confirmation"]): string {
  if (confirmation === undefined) return "";
  const { confirmed, reason, computeMs, estimatedComputeMs } = confirmation;
  if (!confirmed) return reason === undefined ? "" : `, not confirmed (${reason})`;
  const percent = Math.round((computeMs / estimatedComputeMs - 1) * 100);
  if (!Number.isFinite(percent) || percent === 0) return ", confirmed";
  const verb = percent > 0 ? "more" : "less";
  return `, confirmed: it computes ${Math.abs(percent)} % ${verb} than its blocks promise`;
}

function tellKeeping(
  { because, missing = { have: 0, need: 0 } }: Extract<Verdict, { kind: "keep" }>,
  { options }: Story,
): string {
  const [have, need] = [short(missing.have), short(missing.need)];
  switch (because) {
    case "same":
      return "still the best";
    case "gainTooSmall":
      return `the gain is ${have} % of the ${need} % that it takes`;
    case "notWorthIt":
      return `a switch costs ${need} ms and would gain ${have} ms within ${short(options.regimeSeconds)} s`;
    case "unproven":
      return `staying has lost ${have} ms of the ${need} ms that tell a change from a fluctuation`;
    case "holding":
      return `the gain has lasted ${have} s of ${need} s`;
    case "quiet":
      return "these are quiet hours";
  }
}

/** Three significant digits, without an exponent. */
function short(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
