import { withMeasuredStops } from "./measured-stops.js";
import type { PlanningProblem } from "./problem.js";
import { type Arc, buildRoutes, type Routes, type Stop } from "./routes.js";
import type { Rules } from "./rules.js";

/** The blocks and routes that plans are searched in. */
export interface Field {
  blockCount: number;
  routes: Routes;
  /** Bytes that cross each cut; cut 0 is in front of the first block. */
  bytes: readonly number[];
  /** [stop][block] is 1 where the stop may run the block. */
  mayRun: readonly Uint8Array[];
}

export function buildField(problem: PlanningProblem, rules: Rules): Field {
  const routes = withMeasuredStops(buildRoutes(problem, rules), problem);
  return {
    blockCount: problem.blocks.length,
    routes,
    bytes: bytesAtCuts(problem),
    mayRun: routes.stops.map((stop) => {
      const { node, source } = stop;
      return Uint8Array.from(problem.blocks, (_, block) => {
        const isHeld = block < rules.sourceBlocks && node.name !== source;
        const isBanned = isHeld || rules.blockBan(node.name, block) !== undefined;
        return isBanned || !isForBlock(problem, stop, block) ? 0 : 1;
      });
    }),
  };
}

/** Whether the partitions that the stop is for contain the block. */
function isForBlock({ onlyMeasured }: PlanningProblem, { began }: Stop, block: number): boolean {
  if (began?.range === undefined) {
    return onlyMeasured !== true && block >= (began?.firstBlock ?? 0);
  }
  return began.firstBlock <= block && block <= began.range.lastBlock;
}

/** Bytes that cross each cut; cut 0 is in front of the first block. */
export function bytesAtCuts(problem: PlanningProblem): number[] {
  return [problem.inputBytes, ...problem.blocks.map((block) => block.outputBytes)];
}

/** Whether the data at `cut` may go along `arc`. */
export function isOpen(field: Field, arc: Arc, cut: number): boolean {
  return (field.bytes[cut] ?? 0) <= arc.bytesMax;
}

/** Where data may go at a cut: to other stops in front of a block, and home behind the last one. */
export function waysOn(field: Field, stop: Stop, cut: number): readonly Arc[] {
  if (!mayEndAt(stop, cut)) return NOWHERE;
  if (cut < field.blockCount) return stop.nextAt?.get(cut) ?? stop.next;
  return stop.end === undefined ? NOWHERE : [stop.end];
}

function mayEndAt({ began }: Stop, cut: number): boolean {
  if (began === undefined) return true;
  return began.range === undefined
    ? began.closedAt?.has(cut) !== true
    : cut === began.range.lastBlock + 1;
}

const NOWHERE: readonly Arc[] = [];
