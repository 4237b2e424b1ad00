import type { Field } from "./field.js";
import type { Arc, Stop } from "./routes.js";
import { longestStageToGo, sumsToGo } from "./to-go.js";
import type { Weights } from "./weights.js";

/** One step of a plan: `from` runs a block (none at the start), then data goes along `arc` or stays. */
export interface Step {
  from: { stop: Stop; block: number } | undefined;
  arc: Arc | undefined;
  /** The cut in front of the block that comes next. */
  cut: number;
}

/**
 * Follows one quantity along the beginning of a plan. Its state is a few numbers, each of which is the
 * better the smaller: of two beginnings at the same place, the one that has no number larger can be
 * continued in every way in which the other can, and ends with no more.
 */
export interface Gauge {
  slots: number;
  /** The state after `step`; `before` is zeros at the start of a plan. */
  advance: (before: Float64Array, after: Float64Array, step: Step) => void;
  /** The least that a whole plan with this beginning can end with; exact before the last block. */
  least: (state: Float64Array, stop: Stop, block: number) => number;
}

/** A gauge and the most it may show. */
export interface Budget {
  gauge: Gauge;
  max: number;
}

/** A plain sum. */
export function sumGauge(field: Field, weights: Weights): Gauge {
  const [toGo] = sumsToGo(field, [weights]);
  const stopCount = field.routes.stops.length;
  return {
    slots: 1,
    advance: (before, after, { from, arc, cut }) => {
      let sum = before[0] ?? 0;
      if (from !== undefined) sum += weights.run[from.stop.index]?.[from.block] ?? 0;
      if (arc !== undefined) sum += weights.pass(arc, cut);
      after[0] = sum;
    },
    least: (state, stop, block) =>
      (state[0] ?? 0) + (toGo?.[block * stopCount + stop.index] ?? Infinity),
  };
}

/** The longest stage: a partition's computing or a transfer. State: longest so far, present partition. */
export function stageGauge(field: Field, weights: Weights): Gauge {
  const toGo = longestStageToGo(field, weights);
  const stopCount = field.routes.stops.length;
  const runOf = (stop: Stop, block: number): number => weights.run[stop.index]?.[block] ?? 0;
  return {
    slots: 2,
    advance: (before, after, { from, arc, cut }) => {
      const [longest = 0, present = 0] = before;
      const computed = from === undefined ? 0 : present + runOf(from.stop, from.block);
      after[0] = arc === undefined ? longest : Math.max(longest, computed, weights.pass(arc, cut));
      after[1] = arc === undefined ? computed : 0;
    },
    least: (state, stop, block) => {
      const [longest = 0, present = 0] = state;
      // What begins here anew can only be shorter than what goes on here.
      const rest = toGo[block * stopCount + stop.index] ?? Infinity;
      return Math.max(longest, present + runOf(stop, block), rest);
    },
  };
}

/**
 * Memory that one node needs: the weights of all its blocks, and the largest input and output of one.
 * State: weights, largest.
 */
export function memoryGauge(
  node: string,
  needs: { weightBytes: readonly number[]; tensorBytes: readonly number[] },
): Gauge {
  const add = (state: readonly [number, number], stop: Stop, block: number): [number, number] => {
    if (stop.node.name !== node) return [...state];
    return [
      state[0] + (needs.weightBytes[block] ?? 0),
      Math.max(state[1], needs.tensorBytes[block] ?? 0),
    ];
  };
  return {
    slots: 2,
    advance: (before, after, { from }) => {
      const [weights = 0, largest = 0] = before;
      after.set(
        from === undefined ? [weights, largest] : add([weights, largest], from.stop, from.block),
      );
    },
    least: (state, stop, block) => {
      const [weights = 0, largest = 0] = state;
      const [sum, most] = add([weights, largest], stop, block);
      return sum + most;
    },
  };
}
