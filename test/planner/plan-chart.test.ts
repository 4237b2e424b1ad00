import { describe, expect, it } from "vitest";
import {
  constraintsSchema,
  type PlanningProblem,
  planChart,
  rankPlans,
  type RankedPlan,
} from "../../src/planner/index.js";

/** A model that runs best half on the device, half in the cloud. */
function problemOf(blockCount: number, deviceName = "cam"): PlanningProblem {
  const half = Math.floor(blockCount / 2);
  const times = (first: number, second: number): number[] =>
    Array.from({ length: blockCount }, (_, block) => (block < half ? first : second));
  return {
    blocks: times(900_000, 1_000).map((outputBytes, block) => ({
      firstLayer: block,
      lastLayer: block,
      outputBytes: block === half - 1 ? 1_000 : outputBytes,
    })),
    inputBytes: 5_000_000,
    nodes: [
      { name: deviceName, tier: "device", blockMs: times(1, 500) },
      { name: "gpu", tier: "cloud", blockMs: times(1, 1) },
    ],
    links: [
      { from: deviceName, to: "gpu", rttMs: 10, bandwidthMbps: 10 },
      { from: "gpu", to: deviceName, rttMs: 10, bandwidthMbps: 10 },
    ],
    sources: [deviceName],
    costModel: { rttFactor: 0.5, returnResult: true },
    constraints: constraintsSchema.parse({}),
    topK: 1,
  };
}

function bestOf(problem: PlanningProblem): RankedPlan {
  return rankPlans(problem).plans[0]!;
}

describe("planChart", () => {
  it.each([5, 500])("draws a bar for each of %i blocks within the picture", (blockCount) => {
    const problem = problemOf(blockCount);
    const svg = planChart("net", problem, bestOf(problem));
    const bars = [...svg.matchAll(/<title>layer \d+ on (cam|gpu): /g)];
    expect(bars).toHaveLength(blockCount);
    for (const [, x, width] of svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g)) {
      expect(Number(x) + Number(width)).toBeLessThanOrEqual(1_000);
    }
  });

  it("names the transfers, what they carry, and the total", () => {
    const problem = problemOf(10);
    const plan = bestOf(problem);
    const svg = planChart("net", problem, plan);
    expect(svg).toContain("cam → gpu: 1000 B, 5.80 ms");
    expect(svg).toContain(`distributed: ${plan.latencyMs.toFixed(2)} ms`);
  });

  it("keeps hostile names in their place", () => {
    const problem = problemOf(4, '<script>"&\u202e');
    const svg = planChart("</svg><script>", problem, bestOf(problem));
    expect(svg).not.toContain("<script>");
    expect(svg).not.toContain("\u202e");
    expect(svg.match(/<\/svg>/g)).toHaveLength(1);
  });

  it("draws a plan that takes no time", () => {
    const problem = problemOf(3);
    const zero = {
      ...problem,
      nodes: problem.nodes.map((node) => ({ ...node, blockMs: [0, 0, 0] })),
    };
    expect(planChart("net", zero, bestOf(zero))).not.toMatch(/NaN|Infinity/);
  });
});
