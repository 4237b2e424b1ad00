import { AppError } from "../core/index.js";
import { type MeasuredBlocks, measuredBlocks, sumOfBlocks } from "./measured.js";
import type { PlanningProblem } from "./problem.js";
import { type Arc, type Routes, STOPS_MAX, type Stop } from "./routes.js";

/** Times that differ by less are the same. */
const NEGLIGIBLE_SHARE = 1e-9;

/** Of a stop as it was before: how its partitions are told apart by the cut at which they begin. */
interface Variants {
  /** For partitions that begin where no measured range does. */
  plain: Stop;
  /** By cut: one for each measured range that begins there, and one for all other partitions that do. */
  byStart: ReadonlyMap<number, readonly Stop[]>;
}

/**
 * Routes on which a partition whose range was measured costs what was measured, and any other the sum
 * of its blocks. What a partition costs then depends on where it began, so every stop is told apart by
 * that, as far as it matters: where measured ranges begin, one stop runs exactly one measured range,
 * and another runs whatever else begins there and may not be left where a measured range would end.
 * Every plan stays exactly one walk, so sums along walks, budgets and ties are as exact as without.
 *
 * With `onlyMeasured`, the stops for all other partitions remain and may run nothing.
 */
export function withMeasuredStops(routes: Routes, problem: PlanningProblem): Routes {
  const ranges = new Map(
    problem.nodes.map((node) => {
      const all = measuredBlocks(problem, node);
      // What takes as long as its blocks changes no plan.
      const differs = (range: MeasuredBlocks): boolean => {
        const sumMs = sumOfBlocks(node, range) * (node.estimateFactor ?? 1);
        return Math.abs(range.ms - sumMs) > NEGLIGIBLE_SHARE * sumMs;
      };
      return [node.name, problem.onlyMeasured === true ? all : all.filter(differs)];
    }),
  );
  if ([...ranges.values()].every((own) => own.length === 0)) return routes;
  const builder = new VariantBuilder(routes.stops);
  const variants = routes.stops.map((stop) =>
    builder.split(stop, ranges.get(stop.node.name) ?? []),
  );
  for (const { plain, byStart } of variants) {
    const nextAt = arcsAt(plain.next, variants);
    plain.nextAt = nextAt;
    for (const stop of [...byStart.values()].flat()) stop.nextAt = nextAt;
  }
  const starts = arcsAt(routes.starts, variants).get(0) ?? routes.starts;
  return { stops: builder.stops, starts, missingLinks: routes.missingLinks };
}

class VariantBuilder {
  readonly stops: Stop[];

  constructor(stops: readonly Stop[]) {
    // Arcs that exist already lead to these.
    this.stops = [...stops];
  }

  split(plain: Stop, ranges: readonly MeasuredBlocks[]): Variants {
    const byStart = new Map<number, Stop[]>();
    for (const start of new Set(ranges.map(({ firstBlock }) => firstBlock))) {
      const own = ranges.filter(({ firstBlock }) => firstBlock === start);
      const others = this.#add(plain, {
        firstBlock: start,
        closedAt: new Set(own.map(({ lastBlock }) => lastBlock + 1)),
      });
      const measured = own.map((range) => this.#add(plain, { firstBlock: start, range }));
      byStart.set(start, [others, ...measured]);
    }
    return { plain, byStart };
  }

  #add(plain: Stop, began: NonNullable<Stop["began"]>): Stop {
    if (this.stops.length >= STOPS_MAX) {
      throw new AppError(
        "USAGE",
        `more than ${STOPS_MAX} routes with measured parts; name fewer paths`,
      );
    }
    const stop = { ...plain, index: this.stops.length, began };
    this.stops.push(stop);
    return stop;
  }
}

/** The arcs at each cut at which some of them lead to particular stops; elsewhere they are as before. */
function arcsAt(arcs: readonly Arc[], variants: readonly Variants[]): Map<number, readonly Arc[]> {
  const particular = (arc: Arc) =>
    arc.to === undefined ? undefined : variants[arc.to.index]?.byStart;
  const cuts = new Set(arcs.flatMap((arc) => [...(particular(arc)?.keys() ?? [])]));
  return new Map(
    [...cuts].map((cut) => [
      cut,
      arcs.flatMap(
        (arc) =>
          particular(arc)
            ?.get(cut)
            ?.map((to) => ({ ...arc, to })) ?? [arc],
      ),
    ]),
  );
}
