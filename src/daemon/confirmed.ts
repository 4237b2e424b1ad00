import { isSameEnvironment } from "../benchmark/index.js";
import { learnedFactor, type MeasuredRange, type PlanningNode } from "../planner/index.js";
import type { ConfirmedRange, Profile } from "../protocol/index.js";
import type { Pipeline, Situation } from "./problem.js";

const MS_PER_HOUR = 3_600_000;
/** On each node; planning takes longer the more there are. */
const RANGES_PLANNED_MAX = 32;

export interface ConfirmedTerms {
  ranges: readonly ConfirmedRange[];
  maxAgeHours: number;
  /** Wall clock. */
  nowMs: number;
}

/**
 * The situation with what was measured of partitions in place of what their blocks sum to, and with
 * what that says of partitions of the same node that were not measured.
 */
export function withConfirmed(
  situation: Situation,
  { thresholds }: Pipeline,
  terms: ConfirmedTerms,
): Situation {
  const measured = new Map(
    situation.nodes.map(({ state, profile }) => [
      state.node,
      measuredOf(profile, { ...terms, changePercent: thresholds.computeChangePercent }),
    ]),
  );
  const nodes = situation.problem.nodes.map((node): PlanningNode => {
    const known = { ...node, measured: measured.get(node.name) ?? [] };
    return { ...known, estimateFactor: learnedFactor(situation.problem, known) };
  });
  const problem = { ...situation.problem, nodes };
  return { ...situation, problem, idle: problem };
}

/** The whole model, which every benchmark measures, and the newest of each range that still holds. */
function measuredOf(
  profile: Profile,
  terms: ConfirmedTerms & { changePercent: number },
): MeasuredRange[] {
  const lastLayer = profile.blocks.at(-1)?.lastLayer ?? 0;
  const found = new Map([[rangeKey({ firstLayer: 0, lastLayer }), wholeOf(profile, lastLayer)]]);
  for (const range of terms.ranges.toReversed()) {
    if (found.size > RANGES_PLANNED_MAX) break;
    const { modelSha256, hardwareClass, firstLayer } = range;
    if (modelSha256 !== profile.model.sha256 || found.has(rangeKey(range))) continue;
    if (hardwareClass !== profile.node.hardwareClass) continue;
    const ms = presentMs(range, profile, terms);
    if (ms !== undefined)
      found.set(rangeKey(range), { firstLayer, lastLayer: range.lastLayer, ms });
  }
  return [...found.values()];
}

function wholeOf({ wholeMs }: Profile, lastLayer: number): MeasuredRange {
  return { firstLayer: 0, lastLayer, ms: wholeMs };
}

/**
 * What a range takes by now, as far as it is known: in proportion to the whole model, beside which it was
 * timed. Undefined where it is too old, where the whole changed by more than `changePercent` otherwise than
 * by the scale of a short look, and in another environment.
 */
export function presentMs(
  range: ConfirmedRange,
  profile: Profile,
  terms: Pick<ConfirmedTerms, "maxAgeHours" | "nowMs"> & { changePercent: number },
): number | undefined {
  const ageMs = terms.nowMs - range.measuredAt;
  // A clock that was set back must not keep old ranges for ever.
  if (ageMs < 0 || ageMs > terms.maxAgeHours * MS_PER_HOUR) return undefined;
  if (range.externalSha256 !== profile.externalSha256) return undefined;
  if (!isSameEnvironment(range.environment, profile.environment)) return undefined;
  const factor = range.profile.wholeMs === 0 ? 1 : profile.wholeMs / range.profile.wholeMs;
  const changePercent = 100 * (Math.max(factor, 1 / factor) - 1);
  const holds = range.profile.fullAt === fullAtOf(profile) || changePercent <= terms.changePercent;
  return holds ? range.medianMs * factor : undefined;
}

/** When the blocks of the profile were measured. */
export function fullAtOf({ measuredAt, refreshed }: Profile): number {
  return refreshed?.fullAt ?? measuredAt;
}

/** These with newer ones, in order of arrival; each replaces what was known of the same. */
export function withNewer(
  known: readonly ConfirmedRange[],
  newer: readonly ConfirmedRange[],
  rangesMax: number,
): ConfirmedRange[] {
  const replaced = new Set(newer.map(identityOf));
  return [...known.filter((range) => !replaced.has(identityOf(range))), ...newer].slice(-rangesMax);
}

function identityOf(range: ConfirmedRange): string {
  return `${range.modelSha256} ${range.node} ${rangeKey(range)}`;
}

function rangeKey(range: { firstLayer: number; lastLayer: number }): string {
  return `${range.firstLayer} ${range.lastLayer}`;
}
