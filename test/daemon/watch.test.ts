import { describe, expect, it } from "vitest";
import type { LinkView } from "../../src/daemon/context.js";
import type { Situation } from "../../src/daemon/problem.js";
import { changesOf, look, startWatch, type Watch } from "../../src/daemon/watch.js";
import { type DriftOptions, driftOptionsSchema } from "../../src/drift/index.js";
import { constraintsSchema, type PlanningProblem } from "../../src/planner/index.js";
import type { Trigger } from "../../src/protocol/index.js";
import { aPipeline } from "../support/planning-site.js";

interface Shown {
  mbps?: number;
  rttMs?: number;
  seenAtMs?: number;
  /** Milliseconds of each node that is there. */
  nodes?: Record<string, number>;
  loads?: Record<string, number>;
  isDown?: boolean;
}

function situation(shown: Shown = {}): Situation {
  const { mbps = 10, rttMs = 20, seenAtMs = 0, isDown = false, loads = {} } = shown;
  const link: LinkView = {
    from: "cam-1",
    to: "edge-1",
    rttMs,
    secondsPerMegabit: 1 / mbps,
    jitterMs: null,
    lossPercent: null,
    isDown,
    seenAtMs,
    samples: [],
  };
  const idle: PlanningProblem = {
    blocks: [{ firstLayer: 0, lastLayer: 9, outputBytes: 8 }],
    inputBytes: 8,
    nodes: Object.entries(shown.nodes ?? { "cam-1": 100, "edge-1": 10 }).map(([name, ms]) => ({
      name,
      tier: name.startsWith("cam") ? "device" : "edge",
      blockMs: [ms],
    })),
    links: [],
    sources: ["cam-1"],
    costModel: { rttFactor: 1, returnResult: false },
    constraints: constraintsSchema.parse({}),
    topK: 1,
  };
  return {
    idle,
    problem: idle,
    nodes: [],
    links: [link],
    loadFactors: new Map(Object.entries(loads)),
  };
}

const pipelineWith = (thresholds: Partial<DriftOptions>) =>
  aPipeline("cam-1", { thresholds: driftOptionsSchema.parse(thresholds) });

/** Looks at each situation a second after the one before; the triggers of each look. */
function follow(shown: readonly Shown[], thresholds: Partial<DriftOptions> = {}): Trigger[][] {
  const pipeline = pipelineWith(thresholds);
  let watch: Watch = startWatch(pipeline, situation(), 0);
  return shown.map((one, index) => {
    const nowMs = (index + 1) * 1_000;
    const seen = { seenAtMs: nowMs, ...one };
    const looked = look(watch, { pipeline, situation: situation(seen), nowMs });
    watch = looked.watch;
    return looked.triggers;
  });
}

const subjects = (triggers: readonly Trigger[]): string[] => triggers.map(({ subject }) => subject);

describe("the watch of a pipeline's context", () => {
  it("sees nothing in a context that stays", () => {
    expect(follow(Array<Shown>(20).fill({})).flat()).toEqual([]);
  });

  it("tells of a metric alone that passes its threshold, and how long it did", () => {
    const changed = Array<Shown>(4).fill({ mbps: 5 });
    const triggers = follow(changed, { holdSeconds: 2 });
    expect(triggers.map((list) => list.length)).toEqual([0, 0, 1, 1]);
    expect(triggers[2]).toEqual([
      {
        kind: "link",
        subject: "bandwidth cam-1 → edge-1",
        before: 10,
        after: 5,
        unit: "Mbps",
        heldSeconds: 2,
      },
    ]);
  });

  it("asks for a change in milliseconds of round trips, beside the one in percent", () => {
    const shown = [{ rttMs: 25 }];
    expect(subjects(follow(shown, { rttChangeMs: 3 })[0]!)).toEqual(["round trip cam-1 → edge-1"]);
    expect(follow(shown, { rttChangeMs: 6 })[0]).toEqual([]);
  });

  it("lets each pipeline have thresholds of its own", () => {
    const shown = [{ mbps: 8 }];
    expect(follow(shown, { linkChangePercent: 20 })[0]).toHaveLength(1);
    expect(follow(shown, { linkChangePercent: 30 })[0]).toEqual([]);
  });

  it("tells until it is judged that nobody measures a link, and again after it was measured", () => {
    const silent = { seenAtMs: 0 };
    const triggers = follow(
      [silent, silent, silent, silent, {}, {}, {}].concat(Array(4).fill({ seenAtMs: 7_000 })),
      {
        staleSeconds: 2,
      },
    );
    const told = triggers.flatMap((list, index) => (list.length > 0 ? [index + 1] : []));
    expect(told).toEqual([3, 4, 10, 11]);
    expect(triggers[2]).toMatchObject([{ kind: "stale" }]);
    expect(subjects(triggers[2]!)).toEqual(["nobody has measured cam-1 → edge-1 for 2 s"]);
  });

  it("tells at once of nodes that come and go, whatever the hold", () => {
    const gone = { nodes: { "cam-1": 100 } };
    const come = { nodes: { "cam-1": 100, "edge-1": 10, "edge-2": 10 } };
    const [first] = follow([gone], { holdSeconds: 60 });
    expect(first).toMatchObject([{ kind: "presence", subject: "edge-1 is gone" }]);
    const [second] = follow([come], { holdSeconds: 60 });
    expect(subjects(second!)).toEqual(["edge-2 is there", "compute on edge-2"]);
    const [hardly] = follow([{ ...come, loads: { "edge-2": 1.0004 } }], { holdSeconds: 60 });
    expect(hardly).toEqual(second);
    const [busy] = follow([{ ...come, loads: { "edge-2": 3 } }], { holdSeconds: 60 });
    expect(subjects(busy!)).toContain("load of edge-2");
  });

  it("tells of a link that is down while both its ends are there", () => {
    const [triggers] = follow([{ isDown: true }]);
    expect(subjects(triggers!)).toContain("bandwidth cam-1 → edge-1 is down");
  });

  it("tells load from computing: a loaded node has the profile that it had", () => {
    const [loaded] = follow([{ loads: { "edge-1": 2 } }]);
    expect(loaded).toMatchObject([
      { kind: "load", subject: "load of edge-1", before: 1, after: 2 },
    ]);
    const [slower] = follow([{ nodes: { "cam-1": 100, "edge-1": 20 } }]);
    expect(slower).toMatchObject([{ kind: "compute", before: 10, after: 20, unit: "ms" }]);
  });

  it("names what changed most where no threshold was passed", () => {
    const pipeline = pipelineWith({});
    const watch = startWatch(pipeline, situation(), 0);
    const hardly = { pipeline, situation: situation({ loads: { "edge-1": 1.0004 } }) };
    expect(changesOf(watch, hardly, 1_000)).toEqual([]);
    const now = { pipeline, situation: situation({ mbps: 9, rttMs: 21 }) };
    expect(subjects(changesOf(watch, now, 1_000))).toEqual([
      "bandwidth cam-1 → edge-1",
      "round trip cam-1 → edge-1",
    ]);
  });
});
