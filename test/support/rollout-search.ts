import type { PlanDocument } from "../../src/protocol/index.js";
import { unrest, violation } from "./rollout-promises.js";
import type { Node } from "./rollout-runtime.js";
import { firstWorld, steps, type World, type WorldLimits } from "./rollout-world.js";

/**
 * Names worlds: two get the same name where they behave alike from here on. Nodes do not change in
 * place and most are shared from world to world, so each is looked at once.
 */
class Names {
  readonly #known = new WeakMap<object, number>();
  readonly #numbers = new Map<string, number>();

  /** How many faults there were does not matter: fewer ones leave more ways open, and come first. */
  of({ nodes, rollout, ready, inForce, newest, isIncomplete }: World): string {
    const rest = JSON.stringify([ready, inForce, newest, isIncomplete]);
    const parts = nodes.map((node) => this.#number(node));
    return `${parts.join()},${rollout === undefined ? 0 : this.#number(rollout)},${this.#numberOf(rest)}`;
  }

  #number(value: Node | NonNullable<World["rollout"]>): number {
    let number = this.#known.get(value);
    if (number === undefined) {
      number = this.#numberOf(textOf(value));
      this.#known.set(value, number);
    }
    return number;
  }

  #numberOf(text: string): number {
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.#numbers.size + 1;
      this.#numbers.set(text, number);
    }
    return number;
  }
}

/** All of a node or a rollout as text. What nonces are called does not matter, nor the order of sets. */
function textOf(of: object): string {
  const nonces = new Map<unknown, number>();
  return JSON.stringify(of, (key, value: unknown) => {
    if (key === "nonce") {
      if (!nonces.has(value)) nonces.set(value, nonces.size);
      return nonces.get(value);
    }
    if (key === "loaded" || key === "draining") return [...(value as number[])].sort();
    // With one pipeline it makes no difference which one was sent last.
    if (key === "lastSent" || typeof value !== "object" || value === null) {
      return key === "lastSent" ? undefined : value;
    }
    if (value instanceof Map || value instanceof Set) return [...(value as Iterable<unknown>)];
    return "pipeline" in value && "source" in value ? (value as PlanDocument).revision : value;
  });
}

/** Throws where the world breaks a promise, or can only be moved by a fault and yet is not quiet. */
export function examine(world: World, next: readonly (readonly [string, World])[]): void {
  const isCalm = next.every(([, { faults }]) => faults > world.faults);
  const problem = violation(world) ?? (isCalm ? unrest(world) : undefined);
  if (problem !== undefined) throw new Error(problem);
}

/**
 * Visits every world that can be reached, those of fewer faults first, and examines each. Returns how
 * many there are; throws with the way to one that is wrong. `stepsOf` may be wrong on purpose.
 */
export function explore(limits: WorldLimits, stepsOf: typeof steps = steps): number {
  const names = new Names();
  const first = firstWorld(limits);
  const seen = new Set([names.of(first)]);
  /** By number of the world: which one it came from, and how. */
  const from: number[] = [-1];
  const how: string[] = ["start"];
  const open: [number, World][][] = Array.from({ length: limits.faults + 1 }, () => []);
  open[0]!.push([0, first]);
  for (const sameFaults of open) {
    for (let visit = sameFaults.pop(); visit !== undefined; visit = sameFaults.pop()) {
      const [number, world] = visit;
      try {
        const next = stepsOf(world, limits);
        examine(world, next);
        for (const [step, after] of next) {
          const name = names.of(after);
          if (seen.has(name)) continue;
          seen.add(name);
          from.push(number);
          how.push(step);
          open[after.faults]!.push([from.length - 1, after]);
        }
      } catch (cause) {
        throw new Error(`${(cause as Error).message}: ${wayTo(number, { from, how })}`, { cause });
      }
    }
  }
  return seen.size;
}

function wayTo(number: number, { from, how }: { from: number[]; how: string[] }): string {
  const names: string[] = [];
  for (let at = number; at >= 0; at = from[at]!) names.unshift(how[at]!);
  return names.join(" → ");
}
