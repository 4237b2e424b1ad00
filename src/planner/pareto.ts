import type { Gauge } from "./gauges.js";
import { Heap } from "./heap.js";
import {
  compareLabels,
  comparePaid,
  continuations,
  isWhole,
  type Label,
  openSpace,
  type Quest,
  type Space,
  startLabels,
  type Walk,
  walkOf,
} from "./labels.js";

/**
 * The plans that none beats in the first rank of `quest` or one of `criteria` without losing in
 * another, by rank.
 *
 * Best first by rank, so whatever is found later is no better in it. A beginning is given up when a
 * plan on the front is as good as it can become in every criterion, or when an earlier beginning at
 * the same place is no worse in any number that follows them.
 */
export function paretoWalks(quest: Quest, criteria: readonly Gauge[]): Walk[] {
  const observed = criteria.map((gauge) => ({ gauge, max: Infinity }));
  const space = openSpace({ ...quest, budgets: [...observed, ...quest.budgets] });
  const stopCount = space.field.routes.stops.length;
  const front: { walk: Walk; ends: readonly number[] }[] = [];
  const taken = new Map<number, Label[]>();
  const frontier = new Heap(compareLabels);
  for (const label of startLabels(space)) frontier.push(label);
  for (let label = frontier.pop(); label !== undefined; label = frontier.pop()) {
    const ends = leastEnds(space, label, criteria.length);
    if (front.some((plan) => isNoMore(plan.ends, ends))) continue;
    const at = label.block * stopCount + label.stop.index;
    const earlier = taken.get(at) ?? [];
    if (earlier.some((other) => isNoWorse(other, label))) continue;
    taken.set(at, [...earlier, label]);
    if (isWhole(space, label)) front.push({ walk: walkOf(label), ends });
    else for (const next of continuations(space, label)) frontier.push(next);
  }
  return front.map(({ walk }) => walk);
}

/** The least that plans with this beginning end with, in each criterion; exact for a whole plan. */
function leastEnds(space: Space, label: Label, criteria: number): number[] {
  return space.gauges.slice(0, criteria).map(({ gauge, offset }) => {
    const state = label.state.subarray(offset, offset + gauge.slots);
    return gauge.least(state, label.stop, label.block);
  });
}

function isNoWorse(earlier: Label, later: Label): boolean {
  return isNoMore(earlier.state, later.state) && comparePaid(earlier, later) <= 0;
}

function isNoMore(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  for (let index = 0; index < a.length; index += 1) {
    if ((a[index] ?? 0) > (b[index] ?? 0)) return false;
  }
  return true;
}
