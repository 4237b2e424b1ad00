import { type Field, isOpen, waysOn } from "./field.js";
import type { Budget, Gauge, Step } from "./gauges.js";
import type { Arc, Stop } from "./routes.js";
import { sumsToGo } from "./to-go.js";
import type { Weights } from "./weights.js";

/** The beginning of a plan: everything in front of `block`, and that `stop` is to run it next. */
export interface Label {
  parent: Label | undefined;
  stop: Stop;
  block: number;
  /** Of each rank, what was paid before the block runs. */
  paid: readonly number[];
  /** No plan with this beginning ranks before this. */
  promise: readonly number[];
  /** The states of the leading gauge and of each budget, one behind the other. */
  state: Float64Array;
}

/** What is searched for: where, by which quantities in which order, and within which limits. */
export interface Quest {
  field: Field;
  /** Compared in front of `ranks`, where given. */
  leading: Gauge | undefined;
  /** Sums, compared in this order. */
  ranks: readonly Weights[];
  budgets: readonly Budget[];
}

/** A quest with all that is known before the search begins. */
export interface Space extends Quest {
  toGo: readonly Float64Array[];
  gauges: readonly { gauge: Gauge; max: number; offset: number }[];
  stateLength: number;
}

export function openSpace(quest: Quest): Space {
  const leading = quest.leading === undefined ? [] : [{ gauge: quest.leading, max: Infinity }];
  let stateLength = 0;
  const gauges = [...leading, ...quest.budgets].map((budget) => {
    const offset = stateLength;
    stateLength += budget.gauge.slots;
    return { ...budget, offset };
  });
  return { ...quest, toGo: sumsToGo(quest.field, quest.ranks), gauges, stateLength };
}

export function isWhole({ field }: Space, label: Label): boolean {
  return label.block === field.blockCount - 1;
}

/** Where a search sets out. */
export function startLabels(space: Space): Label[] {
  return space.field.routes.starts.flatMap((arc) => step(space, undefined, arc) ?? []);
}

/** Every way on from a label, as far as some plan within the budgets goes that way. */
export function continuations(space: Space, label: Label): Label[] {
  const labels: Label[] = [];
  const stay = step(space, label, undefined);
  if (stay !== undefined) labels.push(stay);
  for (const arc of waysOn(space.field, label.stop, label.block + 1)) {
    const next = step(space, label, arc);
    if (next !== undefined) labels.push(next);
  }
  return labels;
}

/** The label after `parent` ran its block and the data went along `arc` (undefined: it stayed). */
function step(space: Space, parent: Label | undefined, arc: Arc | undefined): Label | undefined {
  const { field, ranks, toGo } = space;
  const stop = arc === undefined ? parent?.stop : arc.to;
  const cut = parent === undefined ? 0 : parent.block + 1;
  if (stop === undefined || (arc !== undefined && !isOpen(field, arc, cut))) return undefined;
  const at = cut * field.routes.stops.length + stop.index;
  if ((toGo[0]?.[at] ?? Infinity) === Infinity) return undefined;

  const state = advanceGauges(space, parent, { from: parent, arc, cut });
  const promise = [0];
  if (!keepsBudgets(space, { state, stop, block: cut }, promise)) return undefined;
  const paid: number[] = [];
  for (let index = 0; index < ranks.length; index += 1) {
    const weights = ranks[index];
    if (weights === undefined) continue;
    let sum = 0;
    if (parent !== undefined) {
      sum = (parent.paid[index] ?? 0) + (weights.run[parent.stop.index]?.[parent.block] ?? 0);
    }
    if (arc !== undefined) sum += weights.pass(arc, cut);
    paid.push(sum);
    promise.push(sum + (toGo[index]?.[at] ?? Infinity));
  }
  return { parent, stop, block: cut, paid, promise, state };
}

const NO_STATE = new Float64Array();

function advanceGauges(space: Space, parent: Label | undefined, taken: Step): Float64Array {
  if (space.stateLength === 0) return NO_STATE;
  const state = new Float64Array(space.stateLength);
  for (const { gauge, offset } of space.gauges) {
    const end = offset + gauge.slots;
    const before = parent?.state.subarray(offset, end) ?? new Float64Array(gauge.slots);
    gauge.advance(before, state.subarray(offset, end), taken);
  }
  return state;
}

/** Writes what the leading gauge promises; false where even the least possible rest passes a budget. */
function keepsBudgets(
  space: Space,
  place: { state: Float64Array; stop: Stop; block: number },
  promise: number[],
): boolean {
  for (const [index, { gauge, max, offset }] of space.gauges.entries()) {
    const own = place.state.subarray(offset, offset + gauge.slots);
    const least = gauge.least(own, place.stop, place.block);
    if (least > max) return false;
    if (index === 0 && space.leading !== undefined) promise[0] = least;
  }
  return true;
}

/** A whole plan: the stop of each block. */
export type Walk = readonly Stop[];

export function walkOf(last: Label): Walk {
  const stops: Stop[] = [];
  for (let label: Label | undefined = last; label !== undefined; label = label.parent) {
    stops.push(label.stop);
  }
  return stops.reverse();
}

export function comparePromises(a: Label, b: Label): number {
  return compareNumbers(a.promise, b.promise);
}

/**
 * By promise, then the source's name, then at the first block where they differ the lower tier and name.
 * Where one may yet become the beginning of the other, by its names, the shorter comes first.
 */
export function compareLabels(a: Label, b: Label): number {
  return comparePromises(a, b) || compareNames(a, b) || a.block - b.block;
}

/** The same for two labels at the same place, by what they have paid. */
export function comparePaid(a: Label, b: Label): number {
  return compareNumbers(a.paid, b.paid) || compareNames(a, b);
}

function compareNumbers(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < a.length; index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** 0 where the one is as the other begins. */
function compareNames(a: Label, b: Label): number {
  if (a.stop.source !== b.stop.source) return a.stop.source < b.stop.source ? -1 : 1;
  let [left, right]: [Label | undefined, Label | undefined] = [a, b];
  while (left !== undefined && left.block > b.block) left = left.parent;
  while (right !== undefined && right.block > a.block) right = right.parent;
  let order = 0;
  while (left !== undefined && right !== undefined && left !== right) {
    order = left.stop.rank - right.stop.rank || order;
    left = left.parent;
    right = right.parent;
  }
  return order;
}
