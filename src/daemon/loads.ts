import {
  loadAt,
  type NodeLoad,
  observeLoad,
  relieved,
  slowdownAt,
  unexplainedBy,
} from "../drift/index.js";
import type { PlanningProblem } from "../planner/index.js";
import type { Pipeline, Situation } from "./problem.js";

const MS_PER_SECOND = 1_000;

/** A partition, as far as its node's load goes. */
export interface LayersOnNode {
  node: string;
  firstLayer: number;
  lastLayer: number;
}

/** A stage that a runtime measured, beside what it takes on the idle node. */
export interface MeasuredStage {
  pipeline: string;
  node: string;
  computeMs: number;
  predictedMs: number;
}

interface Assignment {
  revision: number;
  nodes: ReadonlySet<string>;
}

/**
 * How busy nodes are: with pipelines, by the plans that are in force or on their way, and with what
 * else their runtimes measure. A pipeline is priced by the load that the others make, never by its own,
 * which it would take along wherever it goes. Times are monotonic milliseconds.
 */
export class Loads {
  readonly #assignments = new Map<string, Assignment>();
  /** Utilisation by node and pipeline. */
  readonly #shares = new Map<string, Map<string, number>>();
  readonly #measured = new Map<string, NodeLoad>();

  /** The revision that the pipeline was last assigned by; undefined: never. */
  revisionOf(pipeline: string): number | undefined {
    return this.#assignments.get(pipeline)?.revision;
  }

  /** From now on the pipeline keeps these nodes busy, and no others; `problem`: with all idle. */
  assign(
    { name, requestsPerSecond }: Pipeline,
    plan: { revision: number; partitions: readonly LayersOnNode[] },
    problem: PlanningProblem,
  ): void {
    const shares = new Map<string, number>();
    for (const partition of plan.partitions) {
      const busyMs = idleMsOf(problem, partition) * requestsPerSecond;
      shares.set(partition.node, (shares.get(partition.node) ?? 0) + busyMs / MS_PER_SECOND);
    }
    this.#leave(name, new Set(shares.keys()));
    for (const [node, share] of shares) {
      const there = this.#shares.get(node) ?? new Map<string, number>();
      this.#shares.set(node, there.set(name, share));
    }
    this.#assignments.set(name, { revision: plan.revision, nodes: new Set(shares.keys()) });
  }

  /** Pipelines that are not among these keep nothing busy any more. */
  keepOnly(pipelines: ReadonlySet<string>): void {
    for (const name of this.#assignments.keys()) {
      if (!pipelines.has(name)) this.release(name);
    }
  }

  /** The pipeline keeps nothing busy any more. */
  release(pipeline: string): void {
    this.#leave(pipeline, new Set());
    this.#assignments.delete(pipeline);
  }

  /** What a runtime measured while it served. */
  report(
    stages: readonly MeasuredStage[],
    state: { node: string; isBusy: boolean; nowMs: number },
  ): void {
    const { node, isBusy, nowMs } = state;
    const unexplained = stages
      .filter((stage) => stage.predictedMs > 0)
      .map(({ pipeline, computeMs, predictedMs }) =>
        unexplainedBy({ measuredMs: computeMs, predictedMs, ...this.#explained(pipeline, node) }),
      );
    if (unexplained.length === 0 && !isBusy) return;
    const utilisation = Math.max(0, ...unexplained);
    const known = this.#measured.get(node);
    this.#measured.set(node, observeLoad(known, { utilisation, isBusy, nowMs }));
  }

  /** How many times as long the node takes for this pipeline as when it is idle. */
  factorFor(pipeline: string, node: string, nowMs: number): number {
    return slowdownAt(this.#explained(pipeline, node).others + this.#unexplained(node, nowMs));
  }

  /** The same for one that has no plan yet: as the node is to whoever comes. */
  factorOf(node: string, nowMs: number): number {
    return this.factorFor("", node, nowMs);
  }

  #unexplained(node: string, nowMs: number): number {
    const measured = this.#measured.get(node);
    return measured === undefined ? 0 : loadAt(measured, nowMs);
  }

  #explained(pipeline: string, node: string): { own: number; others: number } {
    const there = this.#shares.get(node);
    let others = 0;
    for (const [name, share] of there ?? []) if (name !== pipeline) others += share;
    return { own: there?.get(pipeline) ?? 0, others };
  }

  #leave(pipeline: string, staysOn: ReadonlySet<string>): void {
    for (const node of this.#assignments.get(pipeline)?.nodes ?? []) {
      if (staysOn.has(node)) continue;
      const there = this.#shares.get(node);
      const measured = this.#measured.get(node);
      if (measured !== undefined) this.#measured.set(node, relieved(measured, there?.size ?? 0));
      there?.delete(pipeline);
      if (there?.size === 0) this.#shares.delete(node);
    }
  }
}

/** The situation as it is for one pipeline beside the load of all others. */
export function underLoad(
  situation: Situation,
  { name }: Pipeline,
  { loads, nowMs }: { loads: Loads; nowMs: number },
): Situation {
  const { idle } = situation;
  const loadFactors = new Map(
    idle.nodes.map((node) => [node.name, loads.factorFor(name, node.name, nowMs)]),
  );
  const nodes = idle.nodes.map((node) => slower(node, loadFactors.get(node.name) ?? 1));
  return { ...situation, loadFactors, problem: { ...situation.problem, nodes } };
}

function slower(node: PlanningProblem["nodes"][number], factor: number): typeof node {
  if (factor === 1) return node;
  const blockMs = node.blockMs.map((ms) => ms * factor);
  if (node.measured === undefined) return { ...node, blockMs };
  const measured = node.measured.map((range) => ({ ...range, ms: range.ms * factor }));
  return { ...node, blockMs, measured };
}

/**
 * What the layers take on the idle node, as the planner prices them: as they were measured together,
 * else the blocks that end within them by the node's factor; 0 where it is not known.
 */
export function idleMsOf(
  { blocks, nodes }: PlanningProblem,
  { node: name, firstLayer, lastLayer }: LayersOnNode,
): number {
  const node = nodes.find((each) => each.name === name);
  const whole = node?.measured?.find(
    (range) => range.firstLayer === firstLayer && range.lastLayer === lastLayer,
  );
  if (whole !== undefined) return whole.ms;
  const blocksMs = blocks.reduce((sum, block, index) => {
    const isWithin = block.lastLayer >= firstLayer && block.lastLayer <= lastLayer;
    return isWithin ? sum + (node?.blockMs[index] ?? 0) : sum;
  }, 0);
  return blocksMs * (node?.estimateFactor ?? 1);
}
