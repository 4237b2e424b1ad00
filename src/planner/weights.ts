import type { Field } from "./field.js";
import type { CostModel } from "./options.js";
import type { PlanningLink, PlanningNode, PlanningProblem } from "./problem.js";
import type { Arc } from "./routes.js";

const BITS_PER_BYTE = 8;
/** Bits per millisecond at one megabit per second. */
const BITS_PER_MS_AND_MBPS = 1_000;
const BYTES_PER_MEGABYTE = 1e6;
const BYTES_PER_GIGABYTE = 1e9;
const MS_PER_SECOND = 1e3;
const MS_PER_HOUR = 3.6e6;

/** Milliseconds that `bytes` take over `link`: a part of the round trip, then the bits. */
export function transferMs(
  link: Pick<PlanningLink, "rttMs" | "bandwidthMbps">,
  bytes: number,
  costModel: CostModel,
): number {
  const bitsMs = (bytes * BITS_PER_BYTE) / (link.bandwidthMbps * BITS_PER_MS_AND_MBPS);
  return costModel.rttFactor * link.rttMs + bitsMs;
}

/** Joules of computing for `ms` on `node`; undefined where its power is unknown. */
export function computeJoules(node: PlanningNode | undefined, ms: number): number | undefined {
  return scaled(node?.activeWatts, ms / MS_PER_SECOND);
}

/** Joules of moving `bytes` over `link`; undefined where the link does not tell. */
export function transferJoules(link: PlanningLink | undefined, bytes: number): number | undefined {
  return scaled(link?.joulesPerMegabyte, bytes / BYTES_PER_MEGABYTE);
}

/** Price of computing for `ms` on `node`; undefined where it has none. */
export function computePrice(node: PlanningNode | undefined, ms: number): number | undefined {
  return scaled(node?.pricePerHour, ms / MS_PER_HOUR);
}

/** Price of moving `bytes` over `link`; undefined where it has none. */
export function transferPrice(link: PlanningLink | undefined, bytes: number): number | undefined {
  return scaled(link?.pricePerGigabyte, bytes / BYTES_PER_GIGABYTE);
}

function scaled(rate: number | undefined, amount: number): number | undefined {
  return rate === undefined ? undefined : rate * amount;
}

/** A quantity that adds up along a plan. */
export interface Weights {
  /** [stop][block]: what it costs that the stop runs the block. */
  run: readonly Float64Array[];
  /** What it costs that the data at cut `cut` goes along `arc`. */
  pass: (arc: Arc, cut: number) => number;
}

/** What computing and moving cost, in any unit. */
export interface Tariff {
  compute: (node: PlanningNode, ms: number) => number;
  transfer: (link: PlanningLink, bytes: number) => number;
}

const RESOLUTION_DIGITS = 12;

/**
 * A tariff as weights in whole numbers of a tick that is a power of ten. Such sums are exact in
 * whatever order they are made, so plans that cost the same compare as the same (0.1 + 0.2 is 0.3),
 * and no ranking depends on noise in the sixteenth digit. A tick is at most a 10^11th of the cheapest
 * whole model.
 */
export function tariffWeights(problem: PlanningProblem, field: Field, tariff: Tariff): Ticked {
  const costs = new Map(
    problem.nodes.map((node) => {
      const { name, blockMs, estimateFactor = 1 } = node;
      return [name, blockMs.map((ms) => tariff.compute(node, ms * estimateFactor))];
    }),
  );
  const totals = [...costs.values()].map((row) => row.reduce((sum, cost) => sum + cost, 0));
  const positive = totals.filter((total) => total > 0);
  const scale = positive.length === 0 ? 1 : Math.min(...positive);
  const ticksPerUnit = 10 ** (RESOLUTION_DIGITS - Math.ceil(Math.log10(scale)));
  const toTicks = (cost: number): number => Math.round(cost * ticksPerUnit);
  const rows = new Map([...costs].map(([name, row]) => [name, Float64Array.from(row, toTicks)]));
  return {
    toTicks,
    run: field.routes.stops.map(({ node, began }) => {
      if (began?.range === undefined) return rows.get(node.name) ?? new Float64Array();
      // The partition is taken as a whole or not at all, so its first block may stand for all of it.
      const row = new Float64Array(field.blockCount);
      row[began.firstBlock] = toTicks(tariff.compute(node, began.range.ms));
      return row;
    }),
    pass: ({ link }, cut) =>
      link === undefined ? 0 : toTicks(tariff.transfer(link, field.bytes[cut] ?? 0)),
  };
}

export interface Ticked extends Weights {
  toTicks: (cost: number) => number;
}

/** How many partitions come after the first. */
export function partitionWeights(field: Field): Weights {
  return { run: noRun(field), pass: ({ to }, cut) => (to === undefined || cut === 0 ? 0 : 1) };
}

/** Bytes over all links. */
export function byteWeights(field: Field): Weights {
  return {
    run: noRun(field),
    pass: ({ link }, cut) => (link === undefined ? 0 : (field.bytes[cut] ?? 0)),
  };
}

/** For quantities that only transfers add to. */
export function noRun(field: Field): readonly Float64Array[] {
  const row = new Float64Array(field.blockCount);
  return field.routes.stops.map(() => row);
}
