import { type RankedPlan, rankPlans } from "../planner/index.js";
import { latencyIn, momentAt, problemAt, type Scene } from "./scene.js";

/** A gap this small, as a share, is rounding. */
const TOLERANCE = 1e-9;

/**
 * Every plan that is the best at some bandwidth between the slowest and the fastest of `rates`, and at
 * outages; fewest bytes first. A plan's latency is a straight line over seconds per megabit, so these
 * are found exactly by going to where the lines of two of them cross.
 *
 * They include the best plan for any mean over samples, even where slow samples are capped by falling
 * back: the cap only takes the slowest samples out of the mean, and the mean of the others is a rate
 * between the slowest and the fastest, too.
 */
export function plansOfInterest(scene: Scene, rates: readonly number[]): RankedPlan[] {
  const found = new Map<string, RankedPlan>();
  const bestAt = (mbps: number): RankedPlan | undefined => {
    const [plan] = rankPlans(problemAt(scene, mbps)).plans;
    if (plan === undefined) return undefined;
    const known = found.get(planKey(plan));
    if (known === undefined) found.set(planKey(plan), plan);
    return known ?? plan;
  };
  const between = (slow: Point, fast: Point): void => {
    if (planKey(slow.plan) === planKey(fast.plan)) return;
    const crossing = crossingOf(scene, slow, fast);
    if (crossing === undefined) return;
    const plan = bestAt(1 / crossing.secondsPerMegabit);
    if (plan === undefined) return;
    const middle = { plan, secondsPerMegabit: crossing.secondsPerMegabit };
    if (latencyOf(scene, middle) >= crossing.latencyMs * (1 - TOLERANCE)) return;
    between(slow, middle);
    between(middle, fast);
  };
  const moving = rates.filter((mbps) => mbps > 0);
  if (moving.length < rates.length) bestAt(0);
  if (moving.length > 0) {
    const slow = bestAt(smallest(moving));
    const fast = bestAt(largest(moving));
    if (slow !== undefined && fast !== undefined) {
      between(
        { plan: slow, secondsPerMegabit: 1 / smallest(moving) },
        { plan: fast, secondsPerMegabit: 1 / largest(moving) },
      );
    }
  }
  return [...found.values()].sort(
    (a, b) => a.transferBytes - b.transferBytes || a.partitions.length - b.partitions.length,
  );
}

/** Who runs which layers, as text: equal for equal plans. */
export function planKey(plan: Pick<RankedPlan, "source" | "partitions">): string {
  const parts = plan.partitions.map(({ node, lastLayer }) => [node, lastLayer]);
  return JSON.stringify([plan.source, parts]);
}

interface Point {
  plan: RankedPlan;
  secondsPerMegabit: number;
}

/** Where the lines of two plans cross; undefined where they do not within the two points. */
function crossingOf(
  scene: Scene,
  slow: Point,
  fast: Point,
): { secondsPerMegabit: number; latencyMs: number } | undefined {
  const width = slow.secondsPerMegabit - fast.secondsPerMegabit;
  if (width <= 0) return undefined;
  const slowAtFast = latencyOf(scene, { ...slow, secondsPerMegabit: fast.secondsPerMegabit });
  const fastAtSlow = latencyOf(scene, { ...fast, secondsPerMegabit: slow.secondsPerMegabit });
  const gapAtFast = slowAtFast - latencyOf(scene, fast);
  const gapAtSlow = fastAtSlow - latencyOf(scene, slow);
  if (!(gapAtFast > 0 && gapAtSlow > 0)) return undefined;
  const share = gapAtFast / (gapAtFast + gapAtSlow);
  const secondsPerMegabit = fast.secondsPerMegabit + share * width;
  return { secondsPerMegabit, latencyMs: latencyOf(scene, { ...slow, secondsPerMegabit }) };
}

/** As planned: a transfer may take for ever. */
function latencyOf(scene: Scene, { plan, secondsPerMegabit }: Point): number {
  const patient = { ...scene, fallbackMs: Number.POSITIVE_INFINITY };
  return latencyIn(patient, plan, momentAt(patient, 0, 1 / secondsPerMegabit));
}

function smallest(values: readonly number[]): number {
  return values.reduce((least, value) => Math.min(least, value));
}

function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value));
}
