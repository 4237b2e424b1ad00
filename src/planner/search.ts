import type { Arc, Stop } from "./routes.js";
import {
  compareRanks,
  type Field,
  isOpen,
  movedBytes,
  type Rank,
  type RanksToGo,
  ranksToGo,
} from "./to-go.js";
import type { Budget, Weights } from "./weights.js";

/** The beginning of a plan: everything in front of `block`, and that `stop` is to run it next. */
interface Label {
  parent: Label | undefined;
  stop: Stop;
  block: number;
  /** What was paid before the block runs. */
  paid: Rank;
  /** The best that a whole plan with this beginning can be; exact where no budget is in the way. */
  promise: Rank;
  /** Of each budget, what was used before the block runs. */
  used: Float64Array;
}

/** A whole plan: the stop of each block. */
export type Walk = readonly Stop[];

interface SearchSpace {
  field: Field;
  weights: Weights;
  budgets: readonly Budget[];
  toGo: RanksToGo;
  /** Of each budget, the least that the rest of a plan uses. */
  budgetsToGo: readonly Float64Array[];
}

/**
 * The `topK` best plans in order: by cost, then fewer partitions, then fewer bytes, then the source's
 * name, then, at the first block where they differ, the lower tier and the name.
 *
 * Best first over beginnings of plans. The shortest path to the end is known for every beginning, so
 * without budgets each plan is found without a detour. With budgets, a beginning is given up as soon
 * as the least possible rest passes one of them, or when `topK` better beginnings at the same place
 * have used no more of any: their continuations are better, and feasible where its own are.
 */
export function bestWalks(
  problem: { field: Field; weights: Weights; budgets: readonly Budget[] },
  topK: number,
): Walk[] {
  const space: SearchSpace = {
    ...problem,
    toGo: ranksToGo(problem.field, problem.weights),
    budgetsToGo: problem.budgets.map((budget) => ranksToGo(problem.field, budget).cost),
  };
  const walks: Walk[] = [];
  const frontier = new Heap(compareLabels);
  for (const arc of problem.field.routes.starts) {
    const label = step(space, undefined, arc);
    if (label !== undefined) frontier.push(label);
  }
  const visits = new Visits(topK);
  while (walks.length < topK) {
    let label = frontier.pop();
    // Goes on along the best continuation for as long as nothing in the frontier can be better.
    while (label !== undefined && visits.admit(label, problem.field)) {
      if (label.block === problem.field.blockCount - 1) {
        walks.push(walkOf(label));
        break;
      }
      const isLast = walks.length === topK - 1 && problem.budgets.length === 0;
      label = advance(space, label, isLast ? undefined : frontier);
    }
    if (label === undefined && frontier.size === 0) break;
  }
  return walks;
}

/**
 * The best continuation, if it keeps the label's promise; all others go to the frontier. Without a
 * frontier nothing but the best is wanted.
 */
function advance(space: SearchSpace, label: Label, frontier: Heap | undefined): Label | undefined {
  const next = continuations(space, label);
  let best = next[0];
  for (const candidate of next) {
    if (best !== undefined && compareSiblings(candidate, best) < 0) best = candidate;
  }
  if (frontier === undefined) return best;
  const goesOn = best !== undefined && compareRanks(best.promise, label.promise) === 0;
  for (const candidate of next) {
    if (candidate !== best || !goesOn) frontier.push(candidate);
  }
  return goesOn ? best : undefined;
}

function compareSiblings(a: Label, b: Label): number {
  return compareRanks(a.promise, b.promise) || compareStops(a.stop, b.stop);
}

function continuations(space: SearchSpace, label: Label): Label[] {
  const labels: Label[] = [];
  const stay = step(space, label, undefined);
  if (stay !== undefined) labels.push(stay);
  for (const arc of label.stop.next) {
    const next = step(space, label, arc);
    if (next !== undefined) labels.push(next);
  }
  return labels;
}

/**
 * The label after `parent` ran its block and the data went along `arc` (undefined: stayed); without a
 * parent, the label of the first block. Undefined where no plan within the budgets begins so.
 */
function step(
  space: SearchSpace,
  parent: Label | undefined,
  arc: Arc | undefined,
): Label | undefined {
  const { field, weights, toGo } = space;
  const stop = arc === undefined ? parent?.stop : arc.to;
  const block = parent === undefined ? 0 : parent.block + 1;
  if (stop === undefined) return undefined;
  const at = block * field.routes.stops.length + stop.index;
  const rest = toGo.cost[at] ?? Infinity;
  if (rest === Infinity) return undefined;
  if (arc !== undefined && !isOpen(field, arc, block)) return undefined;

  const paid = { cost: 0, partitions: 1, bytes: 0 };
  if (parent !== undefined) {
    paid.cost = parent.paid.cost + (weights.run[parent.stop.index]?.[parent.block] ?? 0);
    paid.partitions = parent.paid.partitions + (arc === undefined ? 0 : 1);
    paid.bytes = parent.paid.bytes;
  }
  if (arc !== undefined) {
    paid.cost += weights.pass(arc, block);
    paid.bytes += movedBytes(field, arc, block);
  }
  const used = budgetsUsed(space, { parent, arc, block, at });
  if (used === undefined) return undefined;
  const promise = {
    cost: paid.cost + rest,
    partitions: paid.partitions + (toGo.partitions[at] ?? 0),
    bytes: paid.bytes + (toGo.bytes[at] ?? 0),
  };
  return { parent, stop, block, paid, promise, used };
}

/** Undefined where even the least possible rest passes a budget. */
function budgetsUsed(
  { budgets, budgetsToGo }: SearchSpace,
  place: { parent: Label | undefined; arc: Arc | undefined; block: number; at: number },
): Float64Array | undefined {
  const { parent, arc, block, at } = place;
  const used = new Float64Array(budgets.length);
  for (const [index, budget] of budgets.entries()) {
    let sum = 0;
    if (parent !== undefined) {
      sum = parent.used[index] ?? 0;
      sum += budget.run[parent.stop.index]?.[parent.block] ?? 0;
    }
    if (arc !== undefined) sum += budget.pass(arc, block);
    if (sum + (budgetsToGo[index]?.[at] ?? Infinity) > budget.max) return undefined;
    used[index] = sum;
  }
  return used;
}

function walkOf(last: Label): Walk {
  const stops: Stop[] = [];
  for (let label: Label | undefined = last; label !== undefined; label = label.parent) {
    stops.push(label.stop);
  }
  return stops.reverse();
}

/** Lower tier first, then the name. */
function compareStops(a: Stop, b: Stop): number {
  return a.rank - b.rank;
}

function compareLabels(a: Label, b: Label): number {
  const byPromise = compareRanks(a.promise, b.promise);
  if (byPromise !== 0) return byPromise;
  if (a.stop.source !== b.stop.source) return a.stop.source < b.stop.source ? -1 : 1;
  return compareBeginnings(a, b);
}

/** By the first block where two beginnings from the same source differ. Neither begins the other. */
function compareBeginnings(a: Label, b: Label): number {
  let [left, right]: [Label | undefined, Label | undefined] = [a, b];
  while (left !== undefined && left.block > b.block) left = left.parent;
  while (right !== undefined && right.block > a.block) right = right.parent;
  let order = 0;
  while (left !== undefined && right !== undefined && left !== right) {
    order = compareStops(left.stop, right.stop) || order;
    left = left.parent;
    right = right.parent;
  }
  return order;
}

/** The labels that were taken up at each (block, stop), as far as later ones must be compared with them. */
class Visits {
  readonly #topK: number;
  readonly #taken = new Map<number, Float64Array[]>();

  constructor(topK: number) {
    this.#topK = topK;
  }

  /** False where `topK` earlier, so better, labels at the same place have used no more of any budget. */
  admit(label: Label, field: Field): boolean {
    const at = label.block * field.routes.stops.length + label.stop.index;
    const taken = this.#taken.get(at);
    if (taken === undefined) {
      this.#taken.set(at, [label.used]);
      return true;
    }
    let dominators = 0;
    for (const used of taken) {
      if (usesNoMore(used, label.used)) dominators += 1;
      if (dominators === this.#topK) return false;
    }
    taken.push(label.used);
    return true;
  }
}

function usesNoMore(a: Float64Array, b: Float64Array): boolean {
  return a.every((value, index) => value <= (b[index] ?? 0));
}

/** A binary heap; the least item first. */
class Heap {
  readonly #items: Label[] = [];
  readonly #compare: (a: Label, b: Label) => number;

  constructor(compare: (a: Label, b: Label) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#items.length;
  }

  push(item: Label): void {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = items[above];
      if (parent === undefined || this.#compare(item, parent) >= 0) break;
      items[at] = parent;
      at = above;
    }
    items[at] = item;
  }

  pop(): Label | undefined {
    const items = this.#items;
    const [first] = items;
    const last = items.pop();
    if (first === undefined || last === undefined || items.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      let child = items[below];
      if (child === undefined) break;
      const sibling = items[below + 1];
      if (sibling !== undefined && this.#compare(sibling, child) < 0) {
        below += 1;
        child = sibling;
      }
      if (this.#compare(last, child) <= 0) break;
      items[at] = child;
      at = below;
    }
    items[at] = last;
    return first;
  }
}
