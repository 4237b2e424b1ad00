import type { ChoiceVerdict } from "../drift/index.js";
import type { Trigger } from "../protocol/index.js";

const TRIGGERS_TOLD_MAX = 2;

/** What a decision's sentence is made of. Latencies are those of the new context. */
export interface Story {
  triggers: readonly Trigger[];
  verdict: ChoiceVerdict;
  /** In force before the decision; null where there is none. */
  revision: number | null;
  /** What a publication would be numbered. */
  nextRevision: number;
  currentLatencyMs: number | null;
  bestLatencyMs: number | null;
  /** Why nothing is feasible; only with an infeasible verdict. */
  infeasible: string | null;
  minGainPercent: number;
}

/** One sentence for people: what changed, what it means, what was done. */
export function tell(story: Story): string {
  const parts = [tellTriggers(story.triggers), tellLatencies(story)].filter((part) => part !== "");
  return `${parts.join("; ")}: ${tellVerdict(story)}`;
}

/** "bandwidth cam-1 → edge-1 fell 62 % (12.4 → 4.7 Mbps)". */
export function tellTrigger(trigger: Trigger): string {
  const { subject, before, after, unit } = trigger;
  if (after === null) return subject;
  if (before === null || before === 0) return `${subject} is ${short(after)} ${unit}`;
  const percent = Math.round(Math.abs(after / before - 1) * 100);
  const verb = after < before ? "fell" : "rose";
  return `${subject} ${verb} ${percent} % (${short(before)} → ${short(after)} ${unit})`;
}

function tellTriggers(triggers: readonly Trigger[]): string {
  const byWeight = [...triggers].sort((a, b) => weightOf(b) - weightOf(a));
  const told = byWeight.slice(0, TRIGGERS_TOLD_MAX).map(tellTrigger);
  const hidden = triggers.length - told.length;
  if (hidden > 0) told.push(`${hidden} more`);
  return told.join(", ");
}

/** How much a trigger explains: what came or went first, then the largest change. */
function weightOf({ before, after }: Trigger): number {
  if (before === null || after === null) return Number.MAX_VALUE;
  return Math.abs(Math.log((after + Number.EPSILON) / (before + Number.EPSILON)));
}

function tellLatencies({ revision, currentLatencyMs, bestLatencyMs }: Story): string {
  const current =
    revision === null
      ? ""
      : currentLatencyMs === null
        ? `revision ${revision} cannot run any more`
        : `revision ${revision} would take ${short(currentLatencyMs)} ms`;
  const best = bestLatencyMs === null ? "" : `best is ${short(bestLatencyMs)} ms`;
  return [current, best].filter((part) => part !== "").join(", ");
}

function tellVerdict({
  verdict,
  revision,
  nextRevision,
  infeasible,
  minGainPercent,
}: Story): string {
  switch (verdict.kind) {
    case "publish": {
      const gain = verdict.gainPercent === null ? "" : ` (−${Math.round(verdict.gainPercent)} %)`;
      return `published revision ${nextRevision}${gain}`;
    }
    case "keep":
      if (verdict.because === "same") return `kept revision ${revision ?? 0}, still the best`;
      return `kept revision ${revision ?? 0}, a gain of ${short(verdict.gainPercent)} % is below ${minGainPercent} %`;
    case "defer":
      return `waiting ${short(verdict.waitMs / 1_000)} s for the cooldown to end`;
    case "infeasible":
      return `no plan is possible: ${infeasible ?? "unknown reason"}`;
  }
}

/** Three significant digits, without an exponent. */
export function short(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
