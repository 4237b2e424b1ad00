import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { seededRandom } from "../../src/core/index.js";
import { driftOptionsSchema } from "../../src/drift/index.js";
import {
  buildQuery,
  loadProfiles,
  parseLinks,
  type PlanningProblem,
  SCISSION_COST_MODEL,
  SCISSION_INPUT_BYTES,
  type TextFile,
} from "../../src/planner/index.js";
import { parseTrace, type Replay, replayTrace, type Trace } from "../../src/replay/index.js";
import { describeWithData } from "../support/data.js";

const NETWORKS = ["network_stats.csv", "network_stats_wired.csv"];
/** Cases in which there is next to nothing to win say nothing about a policy. */
const WORTHWHILE_SHARE = 0.02;

describeWithData("the shipped policy on real cellular links", (directory) => {
  const measurements = join(directory, "data", "scission");
  const traces = join(directory, "data", "traces");
  const profiles: TextFile[] = readdirSync(measurements)
    .filter((name) => /^(device|edge|cloud)-.*\.json$/.test(name))
    .map((name) => readText(measurements, name));
  const models = Object.keys(JSON.parse(profiles[0]!.text) as object);

  /** Privacy on: the first block stays on the device. */
  function problemOf(model: string, network: string): PlanningProblem {
    return buildQuery(loadProfiles(profiles, model), parseLinks(readText(measurements, network)), {
      costModel: SCISSION_COST_MODEL,
      criteria: { device: "!-1" },
      uploadMegabytes: {},
      times: {},
      inputBytes: SCISSION_INPUT_BYTES,
      topK: 1,
      paths: [],
      objective: "latency",
      nodesFile: undefined,
      deadlineMs: undefined,
    }).problem;
  }

  function replay(problem: PlanningProblem, trace: Trace, switchMs: number): Replay {
    const policy = driftOptionsSchema.parse(switchMs > 0 ? { switchCostMs: switchMs } : {});
    const varied = [
      ["device", "edge"],
      ["device", "cloud"],
    ] as const;
    return replayTrace({ problem, varied, fallbackMs: policy.fallbackMs }, trace, {
      policy,
      switchMs,
    });
  }

  function replayAll(switchMs: number): Replay[] {
    const recorded = readdirSync(traces).map((name) => parseTrace(readText(traces, name)));
    return NETWORKS.flatMap((network) =>
      models.flatMap((model) => {
        const problem = problemOf(model, network);
        return recorded.map((trace) => replay(problem, trace, switchMs));
      }),
    );
  }

  /** Gains over `static` as shares of its latency, and switches, of the cases that are worth it. */
  function gainsOf(
    replays: readonly Replay[],
  ): Record<"adaptive" | "tracker" | "share" | "switchShare", number> {
    const cases = replays.filter(
      ({ static: kept, oracle }) =>
        kept.meanLatencyMs - oracle.meanLatencyMs > WORTHWHILE_SHARE * kept.meanLatencyMs,
    );
    const total = (of: (replay: Replay) => number): number =>
      cases.reduce((sum, one) => sum + of(one), 0);
    const gain = (course: "adaptive" | "tracker"): number =>
      total((one) => 1 - one[course].meanLatencyMs / one.static.meanLatencyMs) / cases.length;
    return {
      adaptive: gain("adaptive"),
      tracker: gain("tracker"),
      share: gain("adaptive") / gain("tracker"),
      switchShare: total((one) => one.adaptive.switches) / total((one) => one.tracker.switches),
    };
  }

  it("keeps most of the tracker's gain with a quarter of its switches, and never loses much", () => {
    const replays = replayAll(0);
    const { share, switchShare } = gainsOf(replays);
    expect(share).toBeGreaterThanOrEqual(0.8);
    expect(switchShare).toBeLessThanOrEqual(0.25);
    for (const { adaptive, bestStatic } of replays) {
      expect(adaptive.meanLatencyMs).toBeLessThanOrEqual(1.05 * bestStatic.meanLatencyMs);
    }
  }, 120_000);

  it("beats the tracker once a switch costs 200 ms", () => {
    expect(gainsOf(replayAll(200)).share).toBeGreaterThan(1);
  }, 120_000);

  it("never switches under a jitter of ten percent", () => {
    const random = seededRandom(7);
    for (const model of models) {
      const problem = problemOf(model, "network_stats.csv");
      for (const nominal of [1.6, 3, 5, 8, 13, 20, 40]) {
        const links = problem.links.map((link) =>
          link.from.startsWith("raspi") ? { ...link, bandwidthMbps: nominal } : link,
        );
        const trace = Array.from({ length: 120 }, () => nominal * (0.9 + 0.2 * random()));
        expect(replay({ ...problem, links }, trace, 0).adaptive.switches).toBe(0);
      }
    }
  }, 120_000);
});

function readText(directory: string, name: string): TextFile {
  const path = join(directory, name);
  return { path, name, text: readFileSync(path, "utf8") };
}
