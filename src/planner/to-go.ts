import type { Arc, Routes, Stop } from "./routes.js";
import type { Weights } from "./weights.js";

/** What a plan is ranked by, in this order. */
export interface Rank {
  /** In the objective's ticks. */
  cost: number;
  partitions: number;
  /** Bytes of all hops. */
  bytes: number;
}

export function compareRanks(a: Rank, b: Rank): number {
  if (a.cost !== b.cost) return a.cost < b.cost ? -1 : 1;
  return a.partitions - b.partitions || a.bytes - b.bytes;
}

/** The blocks and routes that a search runs over. */
export interface Field {
  blockCount: number;
  routes: Routes;
  /** Bytes at each cut. */
  bytes: readonly number[];
  /** [stop][block] is 1 where the stop may run the block. */
  mayRun: readonly Uint8Array[];
}

/** Whether the data at `cut` may go along `arc`. */
export function isOpen(field: Field, arc: Arc, cut: number): boolean {
  return (field.bytes[cut] ?? 0) <= arc.bytesMax;
}

/** Bytes that count as moved when the data at `cut` goes along `arc`. */
export function movedBytes(field: Field, arc: Arc, cut: number): number {
  return arc.link === undefined ? 0 : (field.bytes[cut] ?? 0);
}

/** For each (block, stop), at `block × stops + stop`: the least that the rest of a plan can cost. */
export interface RanksToGo {
  cost: Float64Array;
  /** Partitions after the present one. */
  partitions: Float64Array;
  bytes: Float64Array;
}

/**
 * The best rest of a plan from the moment on at which a stop is to run a block: a shortest path from
 * the last cut back to the first. O(blocks × arcs), which is cut points × nodes² where every node may
 * follow every other.
 */
export function ranksToGo(field: Field, weights: Weights): RanksToGo {
  const { blockCount, routes } = field;
  const stopCount = routes.stops.length;
  const cost = new Float64Array(blockCount * stopCount).fill(Infinity);
  const partitions = new Float64Array(cost.length);
  const bytes = new Float64Array(cost.length);
  const best: Rank = { cost: Infinity, partitions: 0, bytes: 0 };

  const offer = (rankCost: number, rankPartitions: number, rankBytes: number): void => {
    if (rankCost > best.cost) return;
    if (rankCost === best.cost) {
      if (rankPartitions > best.partitions) return;
      if (rankPartitions === best.partitions && rankBytes >= best.bytes) return;
    }
    best.cost = rankCost;
    best.partitions = rankPartitions;
    best.bytes = rankBytes;
  };

  for (let block = blockCount - 1; block >= 0; block -= 1) {
    const cut = block + 1;
    for (const stop of routes.stops) {
      if (field.mayRun[stop.index]?.[block] !== 1) continue;
      best.cost = Infinity;
      if (cut < blockCount) {
        const stay = cut * stopCount + stop.index;
        offer(cost[stay] ?? Infinity, partitions[stay] ?? 0, bytes[stay] ?? 0);
      }
      for (const arc of waysOn(field, stop, cut)) {
        if (!isOpen(field, arc, cut)) continue;
        const moved = movedBytes(field, arc, cut);
        const passing = weights.pass(arc, cut);
        if (arc.to === undefined) {
          offer(passing, 0, moved);
          continue;
        }
        const there = cut * stopCount + arc.to.index;
        const rest = cost[there] ?? Infinity;
        if (rest === Infinity) continue;
        offer(passing + rest, 1 + (partitions[there] ?? 0), moved + (bytes[there] ?? 0));
      }
      const here = block * stopCount + stop.index;
      cost[here] = best.cost + (weights.run[stop.index]?.[block] ?? 0);
      partitions[here] = best.partitions;
      bytes[here] = best.bytes;
    }
  }
  return { cost, partitions, bytes };
}

/** Where data may go at a cut: to other stops in front of a block, and home behind the last one. */
export function waysOn(field: Field, stop: Stop, cut: number): readonly Arc[] {
  if (cut < field.blockCount) return stop.next;
  return stop.end === undefined ? NOWHERE : [stop.end];
}

const NOWHERE: readonly Arc[] = [];
