import { strict as assert } from "node:assert";
import type { Outlook } from "./moments.js";
import type { DriftOptions } from "./options.js";
import { type Publications, rateWaitMs, withPublication } from "./rate-limit.js";

const MS_PER_SECOND = 1_000;
/** A look after a longer pause counts as if the pause had been this long. */
const PAUSE_MS_MAX = 2_000;

/** What the policy remembers of one pipeline. Times are monotonic milliseconds. */
export interface PolicyState {
  readonly lookedAtMs: number;
  /** What staying on the plan has lost against the best one, beyond the slack, since it last lost nothing. */
  readonly regretMs: number;
  /** Since when a switch has been worth its cost without a break; null while it is not. */
  readonly worthSinceMs: number | null;
  readonly publications: Publications;
}

/** The plan in force beside the best one; null: it cannot run, or there is none. */
export interface Choice {
  nowMs: number;
  current: Outlook | null;
  best: Outlook | null;
  /** The best plan is the one in force. */
  isSame: boolean;
  /** What changed is no link, which fluctuates, but nodes, profiles or constraints: it needs no proof. */
  isLasting: boolean;
  /** In quiet hours. */
  isQuiet: boolean;
  /** When plans were published for any pipeline. */
  allPublications: Publications;
}

/** Why a plan stays in force although another one is better or seems so. */
export type KeepReason =
  /** Nothing is better. */
  | "same"
  | "gainTooSmall"
  /** The gain would not pay for the switch before the context is expected to change again. */
  | "notWorthIt"
  /** Staying has not lost enough yet to tell a change from a fluctuation. */
  | "unproven"
  | "holding"
  | "quiet";

/** What speaks for a switch beside what would be enough, in the reason's own unit. */
export interface Shortfall {
  have: number;
  need: number;
}

export type Verdict =
  | { kind: "publish"; gainPercent: number | null }
  /** `missing`: percent of gain, milliseconds won or lost, or seconds that it lasted. */
  | { kind: "keep"; gainPercent: number; because: KeepReason; missing?: Shortfall }
  | { kind: "defer"; gainPercent: number; waitMs: number; for: "cooldown" | "rateLimit" }
  | { kind: "infeasible" };

export type PolicyOptions = Pick<
  DriftOptions,
  | "minGainPercent"
  | "switchCostMs"
  | "switchCostPercent"
  | "regimeSeconds"
  | "regretPercent"
  | "regretSlackPercent"
  | "holdSeconds"
  | "cooldownSeconds"
  | "switchesPerHourMax"
  | "allSwitchesPerHourMax"
>;

export function startPolicy(nowMs: number, publications: Publications = []): PolicyState {
  return { lookedAtMs: nowMs, regretMs: 0, worthSinceMs: null, publications };
}

/** Once a decided plan is in force: what was lost by staying is settled. */
export function afterPublication(state: PolicyState, nowMs: number): PolicyState {
  return startPolicy(nowMs, withPublication(state.publications, nowMs));
}

/**
 * Publish, keep or wait; the state to look again with. A plan that cannot run is replaced at once.
 * Any other switch must be expected to gain `minGainPercent`, and pay for itself: staying must have
 * lost a share of the switch's cost already (a one-sided Page-Hinkley test, which tells a change from a
 * fluctuation), and the gain expected in `regimeSeconds` must exceed it. Where staying has lost the
 * whole cost, the switch was worth it whatever comes (the ski-rental rule), so small gains that last
 * are taken too.
 */
export function decidePlan(
  state: PolicyState,
  choice: Choice,
  options: PolicyOptions,
): { state: PolicyState; verdict: Verdict } {
  const { nowMs, current, best } = choice;
  if (best === null) {
    return { state: startPolicy(nowMs, state.publications), verdict: { kind: "infeasible" } };
  }
  if (current === null) {
    const verdict: Verdict = { kind: "publish", gainPercent: null };
    return { state: startPolicy(nowMs, state.publications), verdict };
  }
  const regretMs = regretOf(state, { nowMs, current, best }, options);
  const gainPercent = gainPercentOf(current, best);
  const against = objection({ ...choice, current, best, regretMs }, options);
  const worthSinceMs = against === null ? (state.worthSinceMs ?? nowMs) : null;
  const looked: PolicyState = { ...state, lookedAtMs: nowMs, regretMs, worthSinceMs };
  if (against !== null) {
    return { state: looked, verdict: { kind: "keep", gainPercent, ...against } };
  }
  const heldSeconds = (nowMs - (worthSinceMs ?? nowMs)) / MS_PER_SECOND;
  if (heldSeconds < options.holdSeconds) {
    const missing = { have: heldSeconds, need: options.holdSeconds };
    return { state: looked, verdict: { kind: "keep", gainPercent, because: "holding", missing } };
  }
  if (choice.isQuiet) {
    return { state: looked, verdict: { kind: "keep", gainPercent, because: "quiet" } };
  }
  const wait = waitOf(state, choice, options);
  if (wait !== null) return { state: looked, verdict: { kind: "defer", gainPercent, ...wait } };
  return { state: looked, verdict: { kind: "publish", gainPercent } };
}

/** What a switch costs, in milliseconds of latency. */
export function switchCostMsOf(current: Outlook, options: PolicyOptions): number {
  return options.switchCostMs ?? (current.expectedMs * options.switchCostPercent) / 100;
}

function waitOf(
  { publications }: PolicyState,
  { nowMs, allPublications }: Choice,
  options: PolicyOptions,
): { waitMs: number; for: "cooldown" | "rateLimit" } | null {
  const pauseMs = nowMs - (publications.at(-1) ?? Number.NEGATIVE_INFINITY);
  const cooldownMs = options.cooldownSeconds * MS_PER_SECOND - pauseMs;
  if (cooldownMs > 0) return { waitMs: cooldownMs, for: "cooldown" };
  const waitMs = Math.max(
    rateWaitMs(publications, nowMs, options.switchesPerHourMax),
    rateWaitMs(allPublications, nowMs, options.allSwitchesPerHourMax),
  );
  return waitMs > 0 ? { waitMs, for: "rateLimit" } : null;
}

/** At one request a second, the newest outlook counts for the time since the last look. */
function regretOf(
  state: PolicyState,
  now: { nowMs: number; current: Outlook; best: Outlook },
  options: PolicyOptions,
): number {
  assert(now.nowMs >= state.lookedAtMs, "monotonic time does not run backwards");
  const requests = Math.min(now.nowMs - state.lookedAtMs, PAUSE_MS_MAX) / MS_PER_SECOND;
  const slackMs = (now.current.newestMs * options.regretSlackPercent) / 100;
  const lossMs = now.current.newestMs - now.best.newestMs - slackMs;
  return Math.max(0, state.regretMs + lossMs * requests);
}

/** What speaks against the switch, if anything does. */
function objection(
  now: Choice & { current: Outlook; best: Outlook; regretMs: number },
  options: PolicyOptions,
): { because: KeepReason; missing?: Shortfall } | null {
  const { current, best, isSame, isLasting, regretMs } = now;
  if (isSame) return { because: "same" };
  const gainMs = current.expectedMs - best.expectedMs;
  const gainPercent = gainPercentOf(current, best);
  if (gainMs <= 0 || gainPercent < options.minGainPercent) {
    const missing = { have: Math.max(0, gainPercent), need: options.minGainPercent };
    return { because: "gainTooSmall", missing };
  }
  const costMs = switchCostMsOf(current, options);
  if (isLasting || regretMs >= costMs) return null;
  const wonMs = gainMs * options.regimeSeconds;
  if (wonMs < costMs) return { because: "notWorthIt", missing: { have: wonMs, need: costMs } };
  const proofMs = (costMs * options.regretPercent) / 100;
  if (regretMs >= proofMs) return null;
  return { because: "unproven", missing: { have: regretMs, need: proofMs } };
}

function gainPercentOf(current: Outlook, best: Outlook): number {
  if (current.expectedMs === 0) return 0;
  return ((current.expectedMs - best.expectedMs) / current.expectedMs) * 100;
}
