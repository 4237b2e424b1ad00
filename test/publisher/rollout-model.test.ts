import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { examine, explore } from "../support/rollout-search.js";
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

/** What a runtime has loaded and does not use is gone with its connection, although it said ready. */
const forgetfully: typeof steps = (world, limits) =>
  steps(world, limits).map(([name, after]) => [
    name,
    !name.startsWith("cut")
      ? after
      : {
          ...after,
          nodes: after.nodes.map((node) =>
            node.session === undefined
              ? { ...node, client: { ...node.client, loaded: [node.client.inForce] } }
              : node,
          ),
        },
  ]);

/** The daemon never says that an older revision is done with. */
const hoarding: typeof steps = (world, limits) =>
  steps(world, limits).filter(([, { nodes }]) =>
    nodes.every(({ down }) => down.every(({ content }) => content.kind !== "retire")),
  );

/** So many faults at most on one way; what is cut off, killed or late comes back whenever it likes. */
const ANY_NUMBER = 60;

describe("rollouts: every interleaving keeps the promises", () => {
  it.each([
    { nodes: 3, revisions: 3, faults: 0, atLeast: 1_000 },
    // All worlds of one runtime: this many faults are more than lead to new ones.
    { nodes: 1, revisions: 3, faults: ANY_NUMBER, atLeast: 9_000 },
    { nodes: 2, revisions: 3, faults: 2, atLeast: 300_000 },
    { nodes: 3, revisions: 3, faults: 1, atLeast: 800_000 },
  ])(
    "$nodes runtimes, $revisions revisions, up to $faults faults",
    ({ atLeast, ...limits }) => {
      expect(explore(limits)).toBeGreaterThan(atLeast);
    },
    600_000,
  );

  it("finds what breaks them", () => {
    const limits = { nodes: 2, revisions: 2, faults: 1 };
    expect(() => explore(limits, forgetfully)).toThrow(
      /ready for and dropped|unprepared|not ready/,
    );
    expect(() => explore(limits, hoarding)).toThrow(/node-\d keeps 1/);
  });

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
