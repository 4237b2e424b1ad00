import { Heap } from "./heap.js";
import {
  compareLabels,
  comparePaid,
  comparePromises,
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
 * The `topK` best plans in order: by the quest's ranks, then the source's name, then, at the first
 * block where they differ, the lower tier and the name.
 *
 * Best first over beginnings of plans. The shortest path to the end is known for every beginning, so
 * without budgets each plan is found without a detour. With budgets, a beginning is given up as soon
 * as the least possible rest passes one of them, or when `topK` better beginnings at the same place
 * have used no more of any: their continuations are better, and feasible where its own are.
 */
export function bestWalks(quest: Quest, topK: number): Walk[] {
  const space = openSpace(quest);
  const walks: Walk[] = [];
  const frontier = new Heap(compareLabels);
  for (const label of startLabels(space)) frontier.push(label);
  const visits = new Visits(space, topK);
  // Stops of one node that differ in what they are for have the same name, so ties are told late.
  const isNamedApart = space.field.routes.stops.every(({ began }) => began === undefined);
  while (walks.length < topK && frontier.size > 0) {
    let label = frontier.pop();
    // Goes on along the best continuation for as long as nothing that waits can be better.
    while (label !== undefined && visits.admit(label)) {
      if (isWhole(space, label)) {
        walks.push(walkOf(label));
        break;
      }
      const isLast = walks.length === topK - 1 && space.gauges.length === 0 && isNamedApart;
      label = advance(space, label, isLast ? undefined : frontier);
    }
  }
  return walks;
}

/**
 * The best continuation, if it keeps the label's promise; all others go to the frontier. Without a
 * frontier nothing but the best is wanted.
 */
function advance(space: Space, label: Label, frontier: Heap<Label> | undefined): Label | undefined {
  const next = continuations(space, label);
  let best = next[0];
  for (const candidate of next) {
    if (best !== undefined && compareSiblings(candidate, best) < 0) best = candidate;
  }
  if (frontier === undefined) return best;
  if (best === undefined) return undefined;
  for (const candidate of next) if (candidate !== best) frontier.push(candidate);
  const waiting = frontier.peek();
  const goesOn =
    comparePromises(best, label) === 0 &&
    (waiting === undefined || compareLabels(best, waiting) < 0);
  if (!goesOn) frontier.push(best);
  return goesOn ? best : undefined;
}

function compareSiblings(a: Label, b: Label): number {
  return comparePromises(a, b) || a.stop.rank - b.stop.rank;
}

/** The labels that were taken up at each (block, stop), as far as later ones must be compared with them. */
class Visits {
  readonly #stopCount: number;
  readonly #topK: number;
  readonly #taken = new Map<number, Label[]>();

  constructor(space: Space, topK: number) {
    this.#stopCount = space.field.routes.stops.length;
    this.#topK = topK;
  }

  /** False where `topK` earlier labels at the same place are better in everything. */
  admit(label: Label): boolean {
    const at = label.block * this.#stopCount + label.stop.index;
    const taken = this.#taken.get(at);
    if (taken === undefined) {
      this.#taken.set(at, [label]);
      return true;
    }
    let better = 0;
    for (const earlier of taken) {
      if (isNoWorse(earlier, label)) better += 1;
      if (better === this.#topK) return false;
    }
    taken.push(label);
    return true;
  }
}

/** Whether `earlier`, which came first in the search, ends before `later` however both go on. */
function isNoWorse(earlier: Label, later: Label): boolean {
  if (earlier.state.some((value, slot) => value > (later.state[slot] ?? 0))) return false;
  return comparePaid(earlier, later) <= 0;
}
