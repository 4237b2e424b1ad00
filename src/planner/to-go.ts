import { type Field, isOpen, waysOn } from "./field.js";
import type { Weights } from "./weights.js";

/**
 * The best rest of a plan from the moment on at which a stop is to run a block, for each (block, stop)
 * at `block × stops + stop`: the sums of each of `weights`, compared in their order. The first is
 * Infinity where no plan goes on from there.
 *
 * A shortest path from the last cut back to the first: O(blocks × arcs), which is cut points × nodes²
 * where every node may follow every other.
 */
export function sumsToGo(field: Field, weights: readonly Weights[]): readonly Float64Array[] {
  const stopCount = field.routes.stops.length;
  const sums = weights.map(() => new Float64Array(field.blockCount * stopCount).fill(Infinity));
  const best = new Float64Array(weights.length);
  const offered = new Float64Array(weights.length);
  const [firstSums] = sums;
  const [first] = weights;
  if (firstSums === undefined || first === undefined) return sums;

  const offer = (): void => {
    if (comesBefore(offered, best)) best.set(offered);
  };
  for (let block = field.blockCount - 1; block >= 0; block -= 1) {
    const cut = block + 1;
    for (const stop of field.routes.stops) {
      if (field.mayRun[stop.index]?.[block] !== 1) continue;
      best.fill(Infinity);
      if (cut < field.blockCount) {
        const stay = cut * stopCount + stop.index;
        for (let index = 0; index < sums.length; index += 1) {
          offered[index] = sums[index]?.[stay] ?? Infinity;
        }
        offer();
      }
      for (const arc of waysOn(field, stop, cut)) {
        if (!isOpen(field, arc, cut)) continue;
        const there = arc.to === undefined ? -1 : cut * stopCount + arc.to.index;
        const rest = there === -1 ? 0 : (firstSums[there] ?? Infinity);
        offered[0] = rest + first.pass(arc, cut);
        if (offered[0] === Infinity || offered[0] > (best[0] ?? 0)) continue;
        for (let index = 1; index < weights.length; index += 1) {
          const behind = there === -1 ? 0 : (sums[index]?.[there] ?? Infinity);
          offered[index] = behind + (weights[index]?.pass(arc, cut) ?? 0);
        }
        offer();
      }
      const here = block * stopCount + stop.index;
      for (let index = 0; index < sums.length; index += 1) {
        const column = sums[index];
        if (column === undefined) continue;
        column[here] = (best[index] ?? 0) + (weights[index]?.run[stop.index]?.[block] ?? 0);
      }
    }
  }
  return sums;
}

function comesBefore(a: Float64Array, b: Float64Array): boolean {
  for (let index = 0; index < a.length; index += 1) {
    const [value, other] = [a[index] ?? 0, b[index] ?? 0];
    if (value !== other) return value < other;
  }
  return false;
}

/**
 * The least that the longest stage of the rest of a plan can be, from the moment on at which a stop
 * begins a partition with a block. A stage is a partition's computing or a transfer. Exact.
 * O(blocks² × stops) at worst; a partition is followed only as long as it is no bottleneck itself.
 */
export function longestStageToGo(field: Field, weights: Weights): Float64Array {
  const { blockCount, routes } = field;
  const stopCount = routes.stops.length;
  const longest = new Float64Array(blockCount * stopCount).fill(Infinity);
  /** The least over all ways on from (cut, stop). */
  const leaving = new Float64Array((blockCount + 1) * stopCount).fill(Infinity);
  for (let cut = blockCount; cut > 0; cut -= 1) {
    for (const stop of routes.stops) {
      let least = Infinity;
      for (const arc of waysOn(field, stop, cut)) {
        if (!isOpen(field, arc, cut)) continue;
        const rest = arc.to === undefined ? 0 : (longest[cut * stopCount + arc.to.index] ?? 0);
        least = Math.min(least, Math.max(weights.pass(arc, cut), rest));
      }
      leaving[cut * stopCount + stop.index] = least;
    }
    const block = cut - 1;
    for (const stop of routes.stops) {
      let least = Infinity;
      let computing = 0;
      for (let last = block; last < blockCount; last += 1) {
        if (field.mayRun[stop.index]?.[last] !== 1) break;
        computing += weights.run[stop.index]?.[last] ?? 0;
        if (computing >= least) break;
        const rest = leaving[(last + 1) * stopCount + stop.index] ?? Infinity;
        least = Math.min(least, Math.max(computing, rest));
      }
      longest[block * stopCount + stop.index] = least;
    }
  }
  return longest;
}
