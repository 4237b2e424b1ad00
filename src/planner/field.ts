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
  const routes = buildRoutes(problem, rules);
  return {
    blockCount: problem.blocks.length,
    routes,
    bytes: bytesAtCuts(problem),
    mayRun: routes.stops.map(({ node, source }) =>
      Uint8Array.from(problem.blocks, (_, block) => {
        const isHeld = block < rules.sourceBlocks && node.name !== source;
        return isHeld || rules.blockBan(node.name, block) !== undefined ? 0 : 1;
      }),
    ),
  };
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
  if (cut < field.blockCount) return stop.next;
  return stop.end === undefined ? NOWHERE : [stop.end];
}

const NOWHERE: readonly Arc[] = [];
