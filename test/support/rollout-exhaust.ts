import { Pairs } from "./pairs.js";
import { type Daemon, RULES, type Rules } from "./rollout-daemon.js";
import { unrestOf } from "./rollout-promises.js";
import { NumberStack } from "./number-stack.js";
import type { Node } from "./rollout-runtime.js";
import { examine } from "./rollout-search.js";
import { RolloutTables } from "./rollout-tables.js";
import { FIRST_DAEMON, firstNode, firstWorld, steps, type WorldLimits } from "./rollout-world.js";

export interface Exhausted {
  worlds: number;
  /** States of single nodes among them. */
  nodeStates: number;
}

/** 0 is what no step has led to yet. */
const NODES_MAX = 3;
const AFTER_A_FAULT = 1;
const SEEN = 2;

/**
 * Visits every world that can be reached, those of fewer faults first, and examines each. Throws with
 * the way to one that is wrong. What a node can become under a daemon does not depend on the states of
 * other nodes, so it is worked out once, and a world is a few numbers. The permanent nodes do the same
 * things, so that worlds in which two of them have changed places are one.
 */
export function exhaust(
  limits: WorldLimits,
  options: { rules?: Rules; isSymmetric?: boolean } = {},
): Exhausted {
  return new Search(limits, options).run();
}

class Search {
  readonly #limits: WorldLimits;
  readonly #rules: Rules;
  readonly #isSymmetric: boolean;
  readonly #tables: RolloutTables;
  /** The numbers of three nodes and the daemon are four times 16 bits. */
  readonly #worlds = new Pairs();
  /** By world. */
  #state = new Uint8Array(1 << 10);
  #from = new Int32Array(1 << 10);
  /** Worlds to be visited, after as many faults as now and after one more. */
  #open = new NumberStack();
  #faulty = new NumberStack();
  /** The world being visited, and how many steps without a fault lead on from it. */
  #visited = -1;
  #ways = 0;

  constructor(
    limits: WorldLimits,
    { rules = RULES, isSymmetric = true }: { rules?: Rules; isSymmetric?: boolean },
  ) {
    this.#limits = limits;
    this.#rules = rules;
    this.#isSymmetric = isSymmetric && limits.nodes > 1;
    this.#tables = new RolloutTables(limits, rules);
    if (limits.nodes > NODES_MAX) throw new Error("too many nodes");
  }

  run(): Exhausted {
    const nodes = Array.from({ length: this.#limits.nodes }, (_, index) =>
      this.#tables.nodeNumber(firstNode(""), index),
    );
    this.#reach(nodes, this.#tables.daemonNumber(FIRST_DAEMON), false);
    let worlds = 0;
    for (let faults = 0; faults <= this.#limits.faults; faults += 1) {
      for (let world = this.#open.pop(); world >= 0; world = this.#open.pop()) {
        worlds += 1;
        this.#visit(world, faults < this.#limits.faults);
      }
      this.#endRound();
    }
    return { worlds, nodeStates: this.#tables.nodes.length };
  }

  /** What was reached by one more fault, and by no fewer, is visited next. */
  #endRound(): void {
    for (let world = this.#faulty.pop(); world >= 0; world = this.#faulty.pop()) {
      if (this.#state[world] !== AFTER_A_FAULT) continue;
      this.#state[world] = SEEN;
      this.#open.push(world);
    }
  }

  #visit(world: number, mayFail: boolean): void {
    const nodes = this.#nodesOf(world);
    const daemon = this.#worlds.second(world) & 0xffff;
    this.#visited = world;
    this.#ways = 0;
    let isFine: boolean;
    try {
      this.#nodeSteps(nodes, daemon, mayFail);
      this.#daemonSteps(nodes, daemon);
      if (mayFail) this.#daemonFaults(nodes, daemon);
      isFine = !this.#isViolated(nodes) && !(this.#ways === 0 && this.#isUnquiet(nodes, daemon));
    } catch (cause) {
      throw this.#explained(world, cause);
    }
    if (!isFine) throw this.#explained(world);
  }

  #nodeSteps(nodes: number[], daemon: number, mayFail: boolean): void {
    const tables = this.#tables;
    const entry = tables.daemons[daemon]!;
    const isLagging = this.#isLagging(nodes, daemon);
    for (let index = 0; index < nodes.length; index += 1) {
      const before = nodes[index]!;
      const { steps, faults } = tables.movesOf(before, entry, { index, isLagging });
      for (let at = 0; at < steps.length; at += 2) {
        nodes[index] = steps[at]!;
        const told = this.#told(nodes, daemon, tables.saying(steps[at + 1]!, index));
        this.#reach(nodes, told, false);
      }
      for (let at = 0; mayFail && at < faults.length; at += 2) {
        nodes[index] = faults[at]!;
        const told = this.#told(nodes, daemon, tables.saying(faults[at + 1]!, index));
        this.#reach(nodes, told, true);
      }
      nodes[index] = before;
    }
  }

  #isLagging(nodes: readonly number[], daemon: number): boolean {
    const {
      daemon: { inForce, isIncomplete },
      isSwitching,
    } = this.#tables.daemons[daemon]!;
    if (isIncomplete || isSwitching) return true;
    let behind = 0;
    for (const node of nodes) behind |= this.#tables.nodes[node]!.behind;
    return ((behind >> inForce) & 1) === 1;
  }

  /** The daemon after what a step meant that was taken at this node. */
  #told(nodes: readonly number[], daemon: number, saying: number): number {
    if (saying < 0) return daemon;
    return this.#ready(nodes, daemon, this.#tables.told(daemon, saying));
  }

  #daemonSteps(nodes: readonly number[], daemon: number): void {
    const tables = this.#tables;
    const proposed = tables.proposed(daemon, nodes);
    if (proposed >= 0) this.#reach(nodes, proposed, false);
    const { rollout, inForce } = tables.daemons[daemon]!.daemon;
    if (rollout?.phase !== "committing") return;
    const { revision } = rollout.plan;
    if (inForce !== revision) {
      this.#reach(nodes, tables.own(daemon, "offered"), false);
      return;
    }
    let after = tables.own(daemon, "committed");
    for (const [index, node] of nodes.entries()) {
      after = this.#told(nodes, after, tables.saying(tables.said(node, revision), index));
    }
    this.#reach(nodes, after, false);
  }

  #daemonFaults(nodes: readonly number[], daemon: number): void {
    const tables = this.#tables;
    const { rollout, inForce } = tables.daemons[daemon]!.daemon;
    if (rollout !== undefined) {
      this.#reach(nodes, this.#ready(nodes, daemon, tables.own(daemon, "timeOut")), true);
      if (inForce !== rollout.plan.revision) {
        this.#reach(nodes, tables.own(daemon, "diskFull"), true);
      }
    }
    const left = nodes.map((node) => tables.cutOff(node));
    this.#reach(left, tables.own(daemon, "restarted"), true);
  }

  #isViolated(nodes: readonly number[]): boolean {
    let begunOn = 0;
    let dropped = 0;
    for (const node of nodes) {
      const entry = this.#tables.nodes[node]!;
      begunOn |= entry.begunOn;
      dropped |= entry.dropped;
    }
    return (begunOn & dropped) !== 0;
  }

  #isUnquiet(nodes: readonly number[], daemon: number): boolean {
    const { daemon: state } = this.#tables.daemons[daemon]!;
    if (state.rollout !== undefined) return true;
    return nodes.some((node) => unrestOf(this.#tables.nodes[node]!.node, state) !== undefined);
  }

  /** The same daemon; beyond the point of no return every participant has loaded what will be in force. */
  #ready(nodes: readonly number[], before: number, after: number): number {
    const { daemons, nodes: states } = this.#tables;
    const { daemon, participants } = daemons[after]!;
    if (before === after || daemon.rollout?.phase !== "committing") return after;
    if (daemons[before]!.daemon.rollout?.phase !== "preparing") return after;
    const { revision } = daemon.rollout.plan;
    for (let index = 0; index < nodes.length; index += 1) {
      const isParticipant = ((participants >> index) & 1) === 1;
      const isLoaded = ((states[nodes[index]!]!.loaded >> revision) & 1) === 1;
      if (isParticipant && !isLoaded) throw new Error(`not ready for ${revision}`);
    }
    return after;
  }

  #reach(nodes: readonly number[], daemon: number, isFault: boolean): void {
    const world = this.#number(nodes, daemon);
    this.#makeRoom(world);
    if (!isFault) this.#ways += 1;
    const state = this.#state[world];
    if (state === SEEN || (isFault && state === AFTER_A_FAULT)) return;
    this.#state[world] = isFault ? AFTER_A_FAULT : SEEN;
    this.#from[world] = this.#visited;
    (isFault ? this.#faulty : this.#open).push(world);
  }

  #number(nodes: readonly number[], daemon: number): number {
    const [first, second] = [nodes[0]!, nodes[1] ?? 0];
    const third = (nodes[2] ?? 0) << 16;
    if (!this.#isSymmetric || first < second) {
      return this.#worlds.of((first << 16) | second, third | daemon);
    }
    const other = this.#tables.exchanged(daemon);
    const either = first === second ? Math.min(daemon, other) : other;
    return this.#worlds.of((second << 16) | first, third | either);
  }

  #nodesOf(world: number): number[] {
    const [most, least] = [this.#worlds.first(world), this.#worlds.second(world)];
    return [most >>> 16, most & 0xffff, least >>> 16].slice(0, this.#limits.nodes);
  }

  #makeRoom(world: number): void {
    if (world < this.#state.length) return;
    const [state, from] = [this.#state, this.#from];
    this.#state = new Uint8Array(2 * state.length);
    this.#state.set(state);
    this.#from = new Int32Array(2 * from.length);
    this.#from.set(from);
  }

  /** What is wrong with a world, by the steps themselves, on the way by which it was reached. */
  #explained(bad: number, cause?: unknown): Error {
    const way: number[] = [];
    for (let at = bad; at >= 0; at = this.#from[at]!) way.unshift(at);
    const names: string[] = [];
    let world = firstWorld(this.#limits);
    try {
      for (const next of way.slice(1)) {
        const step = steps(world, this.#limits, this.#rules).find(
          ([, { nodes, daemon }]) => this.#numberOf(nodes, daemon) === next,
        );
        if (step === undefined) throw new Error("no step leads on");
        names.push(step[0]);
        world = step[1];
      }
      examine(world, steps(world, this.#limits, this.#rules));
    } catch (found) {
      return new Error(`${(found as Error).message}: ${names.join(" → ")}`, { cause: found });
    }
    return new Error(`only the fast search finds it wrong: ${names.join(" → ")}`, { cause });
  }

  #numberOf(nodes: readonly Node[], daemon: Daemon): number {
    const numbers = nodes.map((node, index) => this.#tables.nodeNumber(node, index));
    return this.#number(numbers, this.#tables.daemonNumber(daemon));
  }
}
