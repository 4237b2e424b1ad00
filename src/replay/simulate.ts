import { AppError } from "../core/index.js";
import {
  afterPublication,
  type DriftOptions,
  decidePlan,
  type Moment,
  MOMENTS_MAX,
  type Outlook,
  outlookOf,
  startPolicy,
  type Verdict,
} from "../drift/index.js";
import { type RankedPlan, rankPlans } from "../planner/index.js";
import { plansOfInterest, planKey } from "./pool.js";
import { latencyIn, momentAt, problemAt, type Scene } from "./scene.js";
import type { Trace } from "./trace.js";

const MS_PER_SECOND = 1_000;
/** Seconds from which the plan that never changes is made. */
const STATIC_SECONDS = 10;

export interface ReplayOptions {
  policy: DriftOptions;
  /** What a switch costs the request it hits; charged to whoever switches by what was measured. */
  switchMs: number;
}

/** One look of the policy. */
export interface Look {
  second: number;
  current: RankedPlan;
  best: RankedPlan;
  /** Of the plan in force and of the best one. */
  outlooks: { current: Outlook; best: Outlook };
  verdict: Verdict;
}

/** What one way of choosing plans comes to. */
export interface Course {
  /** The plan in force in each second, as its place among `plans`. */
  plans: readonly number[];
  switches: number;
  /** Switches charged. */
  meanLatencyMs: number;
}

export interface Replay {
  /** Every plan that is the best at some time. */
  plans: readonly RankedPlan[];
  /** The links of each second. */
  moments: readonly Moment[];
  /** [second][plan] in milliseconds, a failing transfer included. */
  latenciesMs: readonly (readonly number[])[];
  adaptive: Course;
  /** Best for the mean of the first seconds, kept. */
  static: Course;
  /** Best in hindsight of all that never change. */
  bestStatic: Course;
  /** Plans anew each second, from the last sample alone. */
  tracker: Course;
  /** Knows each second's link before it comes. */
  oracle: Course;
  looks: readonly Look[];
}

/** The links of each second, and the plans to choose from. */
export interface Timeline {
  moments: readonly Moment[];
  /** Every plan that is the best in some second, or kept over several. */
  plans: readonly RankedPlan[];
  /** In force in the first second. */
  start: RankedPlan;
  /** The plan that never changes. */
  kept: RankedPlan;
}

/**
 * Serves one request a second by the plan in force, at that second's bandwidth of the varied links.
 * Throws PLAN_INFEASIBLE where there is no plan for the links before the trace.
 */
export function replayTrace(scene: Scene, trace: Trace, options: ReplayOptions): Replay {
  const start = startingPlan(scene);
  const early = trace.slice(0, STATIC_SECONDS);
  const earlyMbps = early.reduce((sum, mbps) => sum + mbps, 0) / early.length;
  const [kept = start] = rankPlans(problemAt(scene, earlyMbps)).plans;
  const moments = trace.map((mbps, second) => momentAt(scene, second * MS_PER_SECOND, mbps));
  return replay(scene, { moments, plans: plansOfInterest(scene, trace), start, kept }, options);
}

/** The plan for the links as they were before. Throws PLAN_INFEASIBLE where there is none. */
export function startingPlan(scene: Scene): RankedPlan {
  const { plans, infeasible } = rankPlans({ ...scene.problem, topK: 1 });
  const [start] = plans;
  if (start !== undefined) return start;
  throw new AppError("PLAN_INFEASIBLE", `there is no plan: ${infeasible ?? "unknown"}`);
}

/**
 * Compares ways of choosing plans. What is measured in a second is known to whoever chooses from the
 * next one on.
 */
export function replay(scene: Scene, timeline: Timeline, options: ReplayOptions): Replay {
  const { moments } = timeline;
  const plans = [...timeline.plans];
  const startIndex = indexIn(plans, timeline.start);
  const keptIndex = indexIn(plans, timeline.kept);
  const latenciesMs = moments.map((moment) => plans.map((plan) => latencyIn(scene, plan, moment)));

  const course = (chosen: readonly number[], switchMs: number): Course =>
    courseOf(chosen, latenciesMs, switchMs);
  const fixed = plans.map((_, plan) => course(Array<number>(moments.length).fill(plan), 0));
  const best = fixed.reduce((a, b) => (b.meanLatencyMs < a.meanLatencyMs ? b : a));
  const oracle = followBest(latenciesMs, keptIndex);
  const tracker = [startIndex, ...followBest(latenciesMs.slice(0, -1), startIndex)];
  const adaptive = adapt({ plans, latenciesMs, startIndex }, options);
  return {
    plans,
    moments,
    latenciesMs,
    adaptive: course(adaptive.chosen, options.switchMs),
    static: fixed[keptIndex] ?? best,
    bestStatic: best,
    tracker: course(tracker, options.switchMs),
    oracle: course(oracle, 0),
    looks: adaptive.looks,
  };
}

/** The place of `plan` in `plans`, where it is put if it is not there. */
function indexIn(plans: RankedPlan[], plan: RankedPlan): number {
  const index = plans.findIndex((candidate) => planKey(candidate) === planKey(plan));
  return index === -1 ? plans.push(plan) - 1 : index;
}

function courseOf(
  chosen: readonly number[],
  latenciesMs: readonly (readonly number[])[],
  switchMs: number,
): Course {
  let totalMs = 0;
  let switches = 0;
  for (const [second, plan] of chosen.entries()) {
    totalMs += latenciesMs[second]?.[plan] ?? 0;
    if (second > 0 && chosen[second - 1] !== plan) switches += 1;
  }
  return {
    plans: chosen,
    switches,
    meanLatencyMs: (totalMs + switches * switchMs) / chosen.length,
  };
}

/** The best plan of each second; what is in force stays where nothing is better. */
function followBest(latenciesMs: readonly (readonly number[])[], start: number): number[] {
  let current = start;
  return latenciesMs.map((row) => {
    current = leastIndex(row, current);
    return current;
  });
}

function leastIndex(values: readonly number[], preferred: number): number {
  let least = preferred;
  for (const [index, value] of values.entries()) {
    if (value < (values[least] ?? Number.POSITIVE_INFINITY)) least = index;
  }
  return least;
}

/** The policy that the daemon runs, fed with one sample a second. */
function adapt(
  given: {
    plans: readonly RankedPlan[];
    latenciesMs: readonly (readonly number[])[];
    startIndex: number;
  },
  options: ReplayOptions,
): { chosen: number[]; looks: Look[] } {
  const { plans, latenciesMs, startIndex } = given;
  const chosen = [startIndex];
  const looks: Look[] = [];
  let current = startIndex;
  let state = startPolicy(0);
  for (let second = 1; second < latenciesMs.length; second += 1) {
    const since = Math.max(0, second - MOMENTS_MAX);
    const recent = latenciesMs.slice(since, second);
    const outlooks = plans.map((_, plan) =>
      outlookOf(
        recent.map((row, index) => ({
          atMs: (since + index) * MS_PER_SECOND,
          latencyMs: row[plan] ?? 0,
        })),
        options.policy,
      ),
    );
    const best = leastIndex(
      outlooks.map((outlook) => outlook?.expectedMs ?? Number.POSITIVE_INFINITY),
      current,
    );
    const [of, ofBest] = [outlooks[current] ?? null, outlooks[best] ?? null];
    const choice = { nowMs: second * MS_PER_SECOND, current: of, best: ofBest };
    const decided = decidePlan(
      state,
      {
        ...choice,
        isSame: best === current,
        isLasting: false,
        isQuiet: false,
        allPublications: [],
      },
      options.policy,
    );
    state = decided.state;
    const [planNow, planBest] = [plans[current], plans[best]];
    if (planNow !== undefined && planBest !== undefined && of !== null && ofBest !== null) {
      looks.push({
        second,
        current: planNow,
        best: planBest,
        outlooks: { current: of, best: ofBest },
        verdict: decided.verdict,
      });
    }
    if (decided.verdict.kind === "publish") {
      current = best;
      state = afterPublication(state, choice.nowMs);
    }
    chosen.push(current);
  }
  return { chosen, looks };
}
