import { exchanged, worldText } from "./rollout-text.js";
import { RULES, type Rules } from "./rollout-daemon.js";
import { unrest, violation } from "./rollout-promises.js";
import { firstWorld, steps, type World, type WorldLimits } from "./rollout-world.js";

/** Throws where the world breaks a promise, or can only be moved by a fault and yet is not quiet. */
export function examine(world: World, next: readonly (readonly [string, World])[]): void {
  const isCalm = next.every(([, { faults }]) => faults > world.faults);
  const problem = violation(world) ?? (isCalm ? unrest(world) : undefined);
  if (problem !== undefined) throw new Error(problem);
}

/**
 * Every world that can be reached, those of fewer faults first; each is examined. As simple as can be,
 * and slow: what the fast search finds is compared with it.
 */
export function* reachable(limits: WorldLimits, rules: Rules = RULES): Generator<World> {
  const seen = new Set<string>();
  let open = [firstWorld(limits)];
  for (let faults = 0; faults <= limits.faults; faults += 1) {
    const faulty: World[] = [];
    for (let world = open.pop(); world !== undefined; world = open.pop()) {
      const text = worldText(world);
      if (seen.has(text)) continue;
      seen.add(text);
      const next = steps(world, limits, rules);
      examine(world, next);
      yield world;
      for (const [, after] of next) (after.faults === faults ? open : faulty).push(after);
    }
    open = faulty;
  }
}

/** The same text for two worlds that differ in nothing but the places of the first two nodes. */
export function symmetricText(world: World): string {
  const text = worldText(world);
  const other = worldText(exchanged(world));
  return text < other ? text : other;
}
