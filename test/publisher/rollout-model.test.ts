import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyOf, unrest, violation } from "../support/rollout-promises.js";
import { firstWorld, steps, type World, type WorldLimits } from "../support/rollout-world.js";

const WALK_STEPS_MAX = 1_000;

interface Visit {
  world: World;
  from: Visit | undefined;
  step: string;
}

function historyOf(visit: Visit): string {
  const names: string[] = [];
  for (let at: Visit | undefined = visit; at !== undefined; at = at.from) names.unshift(at.step);
  return names.join(" → ");
}

function isFault(step: string): boolean {
  return /^(cut|crash|refuse|duplicate|time-out|disk full|daemon crash)/.test(step);
}

/** Throws where the world breaks a promise, or can only be moved by a fault and yet is not quiet. */
function examine(visit: Visit, next: readonly [string, World][]): void {
  const isCalm = next.every(([name]) => isFault(name));
  const problem = violation(visit.world) ?? (isCalm ? unrest(visit.world) : undefined);
  if (problem !== undefined) throw new Error(`${problem}: ${historyOf(visit)}`);
}

/** Visits every world that can be reached, and examines each. Returns how many there are. */
function explore(limits: WorldLimits): number {
  const first: Visit = { world: firstWorld(limits), from: undefined, step: "start" };
  const seen = new Set([keyOf(first.world)]);
  const open = [first];
  for (let visit = open.pop(); visit !== undefined; visit = open.pop()) {
    const next = steps(visit.world, limits);
    examine(visit, next);
    for (const [step, world] of next) {
      const key = keyOf(world);
      if (seen.has(key)) continue;
      seen.add(key);
      open.push({ world, from: visit, step });
    }
  }
  return seen.size;
}

/** One way through the worlds; each choice takes a step, and then faults end. */
function walk(choices: readonly number[], limits: WorldLimits): World {
  let visit: Visit = { world: firstWorld(limits), from: undefined, step: "start" };
  for (let count = 0; count < WALK_STEPS_MAX; count += 1) {
    const choice = choices[count];
    const next = steps(visit.world, choice === undefined ? { ...limits, faults: 0 } : limits);
    examine(visit, next);
    const chosen = next[(choice ?? 0) % next.length];
    if (chosen === undefined) return visit.world;
    visit = { world: chosen[1], from: visit, step: chosen[0] };
  }
  throw new Error(`does not come to rest: ${historyOf(visit)}`);
}

describe("rollouts: every interleaving keeps the promises", () => {
  it.each([
    { nodes: 3, revisions: 3, faults: 0, atLeast: 1_000 },
    { nodes: 1, revisions: 3, faults: 2, atLeast: 5_000 },
    { nodes: 2, revisions: 3, faults: 1, atLeast: 20_000 },
    { nodes: 3, revisions: 2, faults: 1, atLeast: 20_000 },
  ])(
    "$nodes runtimes, $revisions revisions, $faults faults",
    ({ atLeast, ...limits }) => {
      expect(explore(limits)).toBeGreaterThan(atLeast);
    },
    120_000,
  );

  it("3 runtimes, 5 revisions, any number of faults, along random ways", () => {
    const limits = { nodes: 3, revisions: 5, faults: 1_000 };
    fc.assert(
      fc.property(fc.array(fc.nat(999), { maxLength: 150 }), (choices) => {
        const world = walk(choices, limits);
        expect(world.rollout).toBeUndefined();
      }),
      { numRuns: 1_000 },
    );
  }, 60_000);
});
