import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RULES } from "../support/rollout-daemon.js";
import { exhaust } from "../support/rollout-exhaust.js";
import { MUTANTS } from "../support/rollout-mutants.js";
import { examine, reachable, symmetricText } from "../support/rollout-search.js";
import { firstWorld, steps, type World, type WorldLimits } from "../support/rollout-world.js";

const WALK_STEPS_MAX = 1_000;

/** One way through the worlds; each choice takes a step, and then faults end. */
function walk(choices: readonly number[], limits: WorldLimits): World {
  let world = firstWorld(limits);
  const names: string[] = [];
  for (let count = 0; count < WALK_STEPS_MAX; count += 1) {
    const choice = choices[count];
    const next = steps(world, choice === undefined ? { ...limits, faults: 0 } : limits);
    try {
      examine(world, next);
    } catch (cause) {
      throw new Error(`${(cause as Error).message}: ${names.join(" → ")}`, { cause });
    }
    const chosen = next[(choice ?? 0) % next.length];
    if (chosen === undefined) return world;
    names.push(chosen[0]);
    world = chosen[1];
  }
  throw new Error(`does not come to rest: ${names.join(" → ")}`);
}

/** So many faults at most on one way; what is cut off, killed or late comes back whenever it likes. */
const ANY_NUMBER = 60;
/** Every way with so many faults takes minutes and gigabytes, so that only who asks for it has it. */
const DEEPER = Number(process.env["ROLLOUT_FAULTS"] ?? 0);

describe("rollouts: every interleaving keeps the promises", () => {
  it.each([
    { nodes: 3, revisions: 3, faults: 0, atLeast: 800 },
    // All worlds of one runtime: this many faults are more than lead to new ones.
    { nodes: 1, revisions: 3, faults: ANY_NUMBER, atLeast: 8_000 },
    { nodes: 2, revisions: 3, faults: 2, atLeast: 150_000 },
    { nodes: 3, revisions: 3, faults: 2, atLeast: 5_000_000 },
  ])(
    "$nodes runtimes, $revisions revisions, up to $faults faults",
    ({ atLeast, ...limits }) => {
      expect(exhaust(limits).worlds).toBeGreaterThan(atLeast);
    },
    600_000,
  );

  it.runIf(DEEPER > 0)(
    `3 runtimes, 3 revisions, up to ${DEEPER} faults`,
    () => {
      const { worlds } = exhaust({ nodes: 3, revisions: 3, faults: DEEPER });
      process.stderr.write(`${worlds} worlds\n`);
      expect(worlds).toBeGreaterThan(5_000_000);
    },
    24 * 3_600_000,
  );

  it.each([
    { nodes: 1, revisions: 2, faults: 2 },
    { nodes: 2, revisions: 2, faults: 1 },
    { nodes: 3, revisions: 2, faults: 0 },
  ])("are as many as a simple search finds: $nodes, $revisions, $faults", (limits) => {
    const worlds = [...reachable(limits)];
    expect(exhaust(limits, { isSymmetric: false }).worlds).toBe(worlds.length);
    const different = limits.nodes === 1 ? worlds.length : new Set(worlds.map(symmetricText)).size;
    expect(exhaust(limits).worlds).toBe(different);
  });

  it.each(MUTANTS)("finds it where $mistake", ({ rules, found }) => {
    const limits = { nodes: 2, revisions: 3, faults: 1 };
    const wrong = { ...RULES, ...rules };
    expect(() => exhaust(limits, { rules: wrong })).toThrow(found);
    expect(() => exhaust(limits, { rules: wrong, isSymmetric: false })).toThrow(found);
  });

  it("3 runtimes, 5 revisions, any number of faults, along random ways", () => {
    const limits = { nodes: 3, revisions: 5, faults: 1_000 };
    fc.assert(
      fc.property(fc.array(fc.nat(999), { maxLength: 150 }), (choices) => {
        const world = walk(choices, limits);
        expect(world.daemon.rollout).toBeUndefined();
      }),
      { numRuns: 1_000 },
    );
  }, 60_000);
});
