import type { Field } from "../field.js";
import type { Arc, Stop } from "../routes.js";

/** Stops in order of flow, with the ways between them. */
export interface Chain {
  stops: readonly Stop[];
  start: Arc;
  hops: readonly Arc[];
  end: Arc;
}

/** Every set of nodes that can be used together; fewer nodes first, then lower tiers, then names. */
export function chainsOf({ routes }: Field): Chain[] {
  const chains: Chain[] = [];
  const grow = (stops: readonly Stop[], start: Arc, hops: readonly Arc[]): void => {
    const last = stops.at(-1);
    if (last === undefined) return;
    if (last.end !== undefined) chains.push({ stops, start, hops, end: last.end });
    for (const arc of last.next) {
      if (arc.to !== undefined) grow([...stops, arc.to], start, [...hops, arc]);
    }
  };
  for (const start of routes.starts) {
    if (start.to !== undefined) grow([start.to], start, []);
  }
  return chains.sort((a, b) => a.stops.length - b.stops.length || compareStops(a.stops, b.stops));
}

function compareStops(a: readonly Stop[], b: readonly Stop[]): number {
  for (const [index, stop] of a.entries()) {
    const difference = stop.rank - (b[index]?.rank ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
