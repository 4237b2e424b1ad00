import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { constraintsSchema, paretoPlans, pricePlan, rankPlans } from "../../src/planner/index.js";
import { bruteForceFront, bruteForcePlans, describePlan } from "../support/brute-force-planner.js";
import { problemArbitrary } from "../support/planning-problems.js";

describe.each([
  { name: "along the tiers", paths: false },
  { name: "along given paths", paths: true },
])("rankPlans $name", ({ paths }) => {
  const problems = problemArbitrary({ paths });

  it("gives exactly what trying everything gives, in the same order", () => {
    fc.assert(
      fc.property(problems, (problem) => {
        expect(rankPlans(problem).plans.map(describePlan)).toEqual(bruteForcePlans(problem));
      }),
      { numRuns: 700 },
    );
  });

  it("finds exactly the Pareto front that trying everything finds", () => {
    fc.assert(
      fc.property(problems, (problem) => {
        const { plans } = paretoPlans({ ...problem, objective: "latency" });
        expect(plans.map(describePlan)).toEqual(bruteForceFront(problem));
      }),
      { numRuns: 300 },
    );
  });

  it("gives a plan or a reason, never both or neither", () => {
    fc.assert(
      fc.property(problems, (problem) => {
        const { plans, infeasible } = rankPlans(problem);
        expect(plans.length > 0).toBe(infeasible === null);
        if (infeasible !== null) expect(infeasible).toMatch(/\S/);
      }),
      { numRuns: 300 },
    );
  });

  it("prices its own plans as it ranked them", () => {
    fc.assert(
      fc.property(problems, (problem) => {
        for (const plan of rankPlans(problem).plans) expect(pricePlan(problem, plan)).toEqual(plan);
      }),
      { numRuns: 300 },
    );
  });

  it("never makes a plan worse by excluding a node that it does not use", () => {
    fc.assert(
      fc.property(problems, fc.nat(), (problem, choice) => {
        const [best] = rankPlans(problem).plans;
        const used = new Set(best?.partitions.map(({ node }) => node));
        const unused = problem.nodes.filter(({ name }) => !used.has(name));
        const excluded = unused[choice % unused.length];
        fc.pre(best !== undefined && excluded !== undefined);
        const exclude = [...problem.constraints.nodes.exclude, excluded.name];
        const nodes = { ...problem.constraints.nodes, exclude };
        const narrowed = { ...problem, constraints: { ...problem.constraints, nodes } };
        expect(rankPlans(narrowed).plans[0]).toEqual(best);
      }),
      { numRuns: 300 },
    );
  });
});

describe("pricePlan", () => {
  it("finds infeasible what the ranking does not contain", () => {
    fc.assert(
      fc.property(problemArbitrary({ paths: false }), (problem) => {
        const all = { ...problem, topK: 10_000 };
        const relaxed = { ...all, constraints: constraintsSchema.parse({}) };
        const allowed = new Set(rankPlans(all).plans.map(describePlan));
        for (const plan of rankPlans(relaxed).plans) {
          const priced = pricePlan(problem, plan);
          expect("infeasible" in priced).toBe(!allowed.has(describePlan(plan)));
        }
      }),
      { numRuns: 300 },
    );
  });
});
