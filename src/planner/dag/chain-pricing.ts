import type { Field } from "../field.js";
import type { PlanningLink } from "../problem.js";
import { transferMs } from "../weights.js";
import type { Chain } from "./chains.js";
import type { DagProblem } from "./dag-problem.js";

/** Ticks of everything together; whole numbers up to here add up exactly, with room to spare. */
const TOTAL_TICKS_MAX = 1e15;

/** Costs of chains in ticks of a power of ten, common to all chains so that they compare. */
export class ChainPricing {
  readonly #problem: DagProblem;
  readonly #run: readonly Float64Array[];
  readonly #ticksPerMs: number;
  readonly #inputBytes: number;
  readonly #outputBytes: number;

  constructor(problem: DagProblem, field: Field) {
    this.#problem = problem;
    this.#inputBytes = bytesOf(problem.graph.tensors.filter(({ producer }) => producer === null));
    this.#outputBytes = bytesOf(problem.graph.tensors.filter(({ isOutput }) => isOutput));
    const { costModel } = problem;
    const allBytes = bytesOf(problem.graph.tensors);
    const runMs = problem.nodes.flatMap(({ blockMs }) => blockMs);
    const moveMs = problem.links.map((link) => transferMs(link, 2 * allBytes, costModel));
    const totalMs = [...runMs, ...moveMs].reduce((sum, ms) => sum + ms, 0);
    const ticksPerMs = totalMs > 0 ? TOTAL_TICKS_MAX / 10 ** Math.ceil(Math.log10(totalMs)) : 1;
    this.#ticksPerMs = ticksPerMs;
    this.#run = field.routes.stops.map(({ node, index }) =>
      Float64Array.from(node.blockMs, (ms, layer) =>
        field.mayRun[index]?.[layer] === 1 ? Math.round(ms * ticksPerMs) : Infinity,
      ),
    );
  }

  /** What a chain costs whatever runs where: fixed parts of hops, the way in and the way back. */
  fixedTicks({ start, hops, end }: Chain): number {
    return (
      this.#ticks(start.link, this.#inputBytes) +
      this.#ticks(end.link, this.#outputBytes) +
      hops.reduce((sum, { link }) => sum + this.#ticks(link, 0), 0)
    );
  }

  /** [stage][layer]. */
  runOf({ stops }: Chain): Float64Array[] {
    return stops.map((stop) => this.#run[stop.index] ?? new Float64Array());
  }

  /** [hop][tensor], without the fixed part. */
  moveOf({ hops }: Chain): Float64Array[] {
    return hops.map(({ link }) =>
      Float64Array.from(
        this.#problem.graph.tensors,
        ({ bytes }) => this.#ticks(link, bytes) - this.#ticks(link, 0),
      ),
    );
  }

  #ticks(link: PlanningLink | undefined, bytes: number): number {
    if (link === undefined) return 0;
    return Math.round(transferMs(link, bytes, this.#problem.costModel) * this.#ticksPerMs);
  }
}

export function bytesOf(tensors: readonly { bytes: number }[]): number {
  return tensors.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The least that running can cost: every layer where it is fastest. */
export function leastRun(run: readonly Float64Array[]): number {
  let sum = 0;
  for (let layer = 0; layer < (run[0]?.length ?? 0); layer += 1) {
    let least = Infinity;
    for (const row of run) least = Math.min(least, row[layer] ?? Infinity);
    sum += least;
  }
  return sum;
}
