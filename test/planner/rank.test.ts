import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  learnedFactor,
  constraintsSchema,
  type MeasuredRange,
  openProblem,
  paretoPlans,
  type PlanningProblem,
  pricePlan,
  rankPlans,
} from "../../src/planner/index.js";
import { bruteForceFront, bruteForcePlans, describePlan } from "../support/brute-force-planner.js";
import { measuredArbitrary, problemArbitrary } from "../support/planning-problems.js";

describe.each([
  { name: "along the tiers", problems: problemArbitrary({ paths: false }) },
  { name: "along given paths", problems: problemArbitrary({ paths: true }) },
  { name: "with measured ranges", problems: measuredArbitrary({ paths: false }) },
  { name: "along paths with measured ranges", problems: measuredArbitrary({ paths: true }) },
])("rankPlans $name", ({ problems }) => {
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

  it("answers with other links as for a problem that had them from the start", () => {
    fc.assert(
      fc.property(problems, fc.double({ min: 0.01, max: 100, noNaN: true }), (problem, times) => {
        const links = problem.links.map((link) => ({
          ...link,
          rttMs: link.rttMs / times,
          bandwidthMbps: link.bandwidthMbps * times,
        }));
        const open = openProblem(problem).withLinks(links);
        const ranking = open.rank(problem.topK);
        expect(ranking).toEqual(rankPlans({ ...problem, links }));
        for (const plan of ranking.plans) expect(open.price(plan)).toEqual(plan);
      }),
      { numRuns: 200 },
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

describe("measured ranges", () => {
  const links = [
    { from: "cam-1", to: "gpu-1", rttMs: 2, bandwidthMbps: 8 },
    { from: "gpu-1", to: "cam-1", rttMs: 2, bandwidthMbps: 8 },
  ];
  const problem = (measured: MeasuredRange[]): PlanningProblem => ({
    blocks: [0, 1, 2].map((layer) => ({ firstLayer: layer, lastLayer: layer, outputBytes: 0 })),
    inputBytes: 100_000,
    nodes: [
      { name: "cam-1", tier: "device", blockMs: [10, 10, 10], measured },
      { name: "gpu-1", tier: "cloud", blockMs: [1, 1, 1] },
    ],
    links,
    sources: ["cam-1"],
    costModel: { rttFactor: 1, returnResult: false },
    constraints: constraintsSchema.parse({}),
    topK: 1,
  });

  it("drive a plan away that is slower than its blocks promised", () => {
    expect(bestOf(problem([]))).toEqual({ ends: [0, 2], latencyMs: 14 });
    const slow = { firstLayer: 0, lastLayer: 0, ms: 25 };
    expect(bestOf(problem([slow]))).toEqual({ ends: [1, 2], latencyMs: 23 });
  });

  it("draw a plan in that is faster, and say what the blocks sum to", () => {
    const fast = { firstLayer: 0, lastLayer: 1, ms: 3 };
    expect(bestOf(problem([fast]))).toEqual({ ends: [1, 2], latencyMs: 6 });
    const [plan] = rankPlans(problem([fast])).plans;
    expect(plan?.partitions[0]).toMatchObject({ computeMs: 3, estimateMs: 20 });
    expect(plan?.partitions[1]).not.toHaveProperty("estimateMs");
  });

  it("say what to expect of those that were not measured, and stay exact themselves", () => {
    const given = problem([{ firstLayer: 0, lastLayer: 0, ms: 15 }]);
    const [device, cloud] = given.nodes;
    const known = { ...device!, estimateFactor: learnedFactor(given, device!) };
    expect(known.estimateFactor).toBe(1.5);
    const price = (ends: number[]) =>
      pricePlan(
        { ...given, nodes: [known, cloud!] },
        {
          source: "cam-1",
          partitions: ends.map((end, index) => ({
            node: index === 0 ? "cam-1" : "gpu-1",
            firstLayer: index === 0 ? 0 : ends[0]! + 1,
            lastLayer: end,
          })),
        },
      );
    expect(price([0, 2])).toMatchObject({ partitions: [{ computeMs: 15, estimateMs: 10 }, {}] });
    expect(price([1, 2])).toMatchObject({ partitions: [{ computeMs: 30 }, {}] });
    expect(price([2])).toMatchObject({ partitions: [{ computeMs: 45 }] });
  });

  it("need two rounds where a node's blocks promise far too much, and more without what they say", () => {
    const blocks = Array.from({ length: 12 }, (_, layer) => ({
      firstLayer: layer,
      lastLayer: layer,
      outputBytes: 8_000 / (layer + 1),
    }));
    const truth = 1.88;
    const roundsNeeded = (learn: boolean): number => {
      const measured: MeasuredRange[] = [{ firstLayer: 0, lastLayer: 11, ms: 12 }];
      for (let round = 1; ; round++) {
        const device = { name: "cam-1", tier: "device" as const, blockMs: blocks.map(() => 1) };
        const estimateFactor = learn ? learnedFactor({ blocks }, { ...device, measured }) : 1;
        const nodes = [
          { ...device, measured, estimateFactor },
          { name: "gpu-1", tier: "cloud" as const, blockMs: blocks.map(() => 0.1) },
        ];
        const [best] = rankPlans({ ...problem([]), blocks, inputBytes: 20_000, nodes }).plans;
        const own = best?.partitions.find(({ node }) => node === "cam-1");
        if (own === undefined || own.estimateMs !== undefined) return round - 1;
        const { firstLayer, lastLayer } = own;
        measured.push({ firstLayer, lastLayer, ms: truth * (lastLayer - firstLayer + 1) });
      }
    };
    expect(roundsNeeded(true)).toBe(2);
    expect(roundsNeeded(false)).toBeGreaterThan(4);
  });

  it.each([
    ["nothing was measured", [], 1],
    ["only the whole model was", [{ firstLayer: 0, lastLayer: 2, ms: 60 }], 1],
    ["a measurement is absurd", [{ firstLayer: 0, lastLayer: 1, ms: 1e9 }], 8],
    ["a measurement took no time", [{ firstLayer: 0, lastLayer: 1, ms: 0 }], 1],
    [
      "several were: by their time together",
      [
        { firstLayer: 0, lastLayer: 0, ms: 40 },
        { firstLayer: 1, lastLayer: 2, ms: 20 },
      ],
      2,
    ],
  ])("teach a factor where %s", (_, measured, factor) => {
    expect(learnedFactor(problem([]), { blockMs: [10, 10, 10], measured })).toBe(factor);
  });

  it("that fall on no blocks are passed over", () => {
    const odd = { firstLayer: 2, lastLayer: 7, ms: 0 };
    expect(bestOf(problem([odd]))).toEqual(bestOf(problem([])));
  });

  it("are refused where they are no times, or one of them occurs twice", () => {
    const range = { firstLayer: 0, lastLayer: 0, ms: 1 };
    expect(() => rankPlans(problem([range, range]))).toThrow(/measured twice/);
    expect(() => rankPlans(problem([{ ...range, ms: Number.NaN }]))).toThrow(/NaN ms/);
  });

  it.each([
    {
      name: "the later plan",
      blockMs: [2, 1, 9],
      measured: { firstLayer: 0, lastLayer: 0, ms: 1 },
    },
    {
      name: "the earlier plan",
      blockMs: [1, 5, 9],
      measured: { firstLayer: 0, lastLayer: 1, ms: 3 },
    },
  ])("leave ties to the names, where $name has the measured one", ({ blockMs, measured }) => {
    const tied = problem([]);
    const nodes = [
      { ...tied.nodes[0]!, blockMs, measured: [measured] },
      { ...tied.nodes[1]!, blockMs: [9, 2, 0] },
    ];
    for (const topK of [1, 2]) {
      const { plans } = rankPlans({ ...tied, nodes, inputBytes: 9e9, topK });
      expect(plans.map(({ latencyMs }) => latencyMs)).toEqual([5, 5].slice(0, topK));
      const firstEnds = plans.map(({ partitions }) => partitions[0]?.lastLayer);
      expect(firstEnds).toEqual([1, 0].slice(0, topK));
    }
  });

  function bestOf(of: PlanningProblem): { ends: number[]; latencyMs: number } | undefined {
    const [plan] = rankPlans(of).plans;
    return (
      plan && { ends: plan.partitions.map(({ lastLayer }) => lastLayer), latencyMs: plan.latencyMs }
    );
  }
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
