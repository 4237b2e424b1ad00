import {
  type Deviation,
  type DeviationLimits,
  type DriftOptions,
  observe,
  startDeviation,
} from "../drift/index.js";
import type { Trigger } from "../protocol/index.js";
import type { Pipeline, Situation } from "./problem.js";

const MS_PER_SECOND = 1_000;
const CHANGES_TOLD_MAX = 2;
/** Smaller changes would be told as 0 %. */
const CHANGE_TOLD_MIN = 0.005;
/** What changes all the time by itself. */
export const FLUCTUATING: ReadonlySet<Trigger["kind"]> = new Set(["link", "load"]);

/** A number that drift is judged by. */
interface Metric {
  id: string;
  kind: "link" | "compute" | "load";
  subject: string;
  value: number;
  limits: DeviationLimits;
  /** The value as people read it. */
  shown: (value: number) => number;
  unit: string;
}

/** The context a pipeline was last judged in. */
export interface Watch {
  readonly specification: string;
  readonly presence: ReadonlySet<string>;
  readonly deviations: ReadonlyMap<string, Deviation>;
  /** Links that nobody has measured for too long. */
  readonly stale: ReadonlySet<string>;
}

/** The context of now, as the baseline of what comes. */
export function startWatch(pipeline: Pipeline, situation: Situation, nowMs: number): Watch {
  return {
    specification: specificationOf(pipeline, situation),
    presence: presenceOf(situation),
    stale: staleOf(pipeline, situation, nowMs),
    deviations: new Map(
      metricsOf(situation, pipeline.thresholds).map((metric) => [
        metric.id,
        startDeviation(metric.value),
      ]),
    ),
  };
}

/** Looks at the context of now; `triggers` are the reasons to judge the plan anew, none when steady. */
export function look(
  watch: Watch,
  now: { pipeline: Pipeline; situation: Situation; nowMs: number },
): { watch: Watch; triggers: Trigger[] } {
  const { pipeline, situation, nowMs } = now;
  const triggers: Trigger[] = [];
  if (watch.specification !== specificationOf(pipeline, situation)) {
    triggers.push(plainTrigger("configuration", `pipeline ${pipeline.name}`));
  }
  triggers.push(...presenceTriggers(watch.presence, presenceOf(situation)));
  const stale = staleOf(pipeline, situation, nowMs);
  for (const path of stale) {
    if (watch.stale.has(path)) continue;
    const subject = `nobody has measured ${path} for ${pipeline.thresholds.staleSeconds} s`;
    triggers.push(plainTrigger("stale", subject));
  }

  const deviations = new Map<string, Deviation>();
  for (const metric of metricsOf(situation, pipeline.thresholds)) {
    const known = watch.deviations.get(metric.id);
    if (known === undefined) {
      deviations.set(metric.id, startDeviation(metric.value));
      if (!isAsGoodAsIdle(metric)) triggers.push(metricTrigger(metric, null));
      continue;
    }
    const { state, verdict } = observe(known, { value: metric.value, nowMs }, metric.limits);
    deviations.set(metric.id, state);
    if (verdict.kind === "drifted") {
      triggers.push(metricTrigger(metric, verdict.before, verdict.heldMs));
    }
  }
  for (const id of watch.deviations.keys()) {
    if (!deviations.has(id) && isLinkBetween(id, presenceOf(situation))) {
      triggers.push(plainTrigger("link", `${id} is down`));
    }
  }
  // A link that was stale and is measured again may become stale anew.
  const stillStale = new Set([...watch.stale].filter((path) => stale.has(path)));
  return { watch: { ...watch, deviations, stale: stillStale }, triggers };
}

/** What has changed most since the plan was judged, thresholds aside: why another plan is better now. */
export function changesOf(
  watch: Watch | undefined,
  { pipeline, situation }: { pipeline: Pipeline; situation: Situation },
  nowMs: number,
): Trigger[] {
  const changes = metricsOf(situation, pipeline.thresholds).flatMap((metric) => {
    const deviation = watch?.deviations.get(metric.id);
    if (deviation === undefined) return [];
    const { baseline, sinceMs } = deviation;
    const size = Math.abs(Math.log((metric.value + 1e-9) / (baseline + 1e-9)));
    if (size < CHANGE_TOLD_MIN) return [];
    const heldMs = sinceMs === null ? 0 : nowMs - sinceMs;
    return [{ size, trigger: metricTrigger(metric, baseline, heldMs) }];
  });
  const largest = changes.sort((a, b) => b.size - a.size).slice(0, CHANGES_TOLD_MAX);
  return largest.map(({ trigger }) => trigger);
}

function metricsOf(situation: Situation, options: DriftOptions): Metric[] {
  const holdMs = options.holdSeconds * MS_PER_SECOND;
  const { detector, hysteresisPercent } = options;
  const link = { detector, hysteresisPercent, changePercent: options.linkChangePercent, holdMs };
  const metrics: Metric[] = [];
  for (const { from, to, rttMs, secondsPerMegabit, isDown } of situation.links) {
    if (isDown || rttMs === null || secondsPerMegabit === null) continue;
    metrics.push({
      id: `round trip ${from} → ${to}`,
      kind: "link",
      subject: `round trip ${from} → ${to}`,
      value: rttMs,
      limits: { ...link, changeAbsolute: options.rttChangeMs },
      shown: (value) => value,
      unit: "ms",
    });
    metrics.push({
      id: `bandwidth ${from} → ${to}`,
      kind: "link",
      subject: `bandwidth ${from} → ${to}`,
      value: secondsPerMegabit,
      limits: { ...link, changeAbsolute: 0 },
      shown: (value) => 1 / value,
      unit: "Mbps",
    });
  }
  for (const node of situation.idle.nodes) {
    const factor = situation.loadFactors.get(node.name) ?? 1;
    metrics.push({
      id: `load of ${node.name}`,
      kind: "load",
      subject: `load of ${node.name}`,
      value: factor,
      limits: { ...link, changePercent: options.computeChangePercent, changeAbsolute: 0 },
      shown: (value) => value,
      unit: "times its idle time",
    });
    metrics.push({
      id: `compute ${node.name}`,
      kind: "compute",
      subject: `compute on ${node.name}`,
      value: node.blockMs.reduce((sum, ms) => sum + ms, 0),
      // A profile is already the median of many runs: it needs no hold.
      limits: {
        detector: "threshold",
        hysteresisPercent: 0,
        changePercent: options.computeChangePercent,
        changeAbsolute: 0,
        holdMs: 0,
      },
      shown: (value) => value,
      unit: "ms",
    });
  }
  return metrics;
}

/** Nodes come idle, and that one is hardly busier than that is no news. */
function isAsGoodAsIdle({ kind, value, limits }: Metric): boolean {
  return kind === "load" && value <= 1 + limits.changePercent / 100;
}

function presenceOf(situation: Situation): Set<string> {
  return new Set(situation.problem.nodes.map((node) => node.name));
}

/** Its last value stays: nobody knows better. */
function staleOf(
  { thresholds }: Pipeline,
  { links }: Situation,
  nowMs: number,
): ReadonlySet<string> {
  const staleMs = thresholds.staleSeconds * MS_PER_SECOND;
  const isStale = ({ seenAtMs }: Situation["links"][number]): boolean =>
    seenAtMs !== null && nowMs - seenAtMs > staleMs;
  return new Set(links.filter(isStale).map(({ from, to }) => `${from} → ${to}`));
}

function presenceTriggers(before: ReadonlySet<string>, after: ReadonlySet<string>): Trigger[] {
  const gone = [...before].filter((name) => !after.has(name));
  const come = [...after].filter((name) => !before.has(name));
  return [
    ...gone.map((name) => plainTrigger("presence", `${name} is gone`)),
    ...come.map((name) => plainTrigger("presence", `${name} is there`)),
  ];
}

/** A link metric that vanished counts by itself only while both its ends are present. */
function isLinkBetween(id: string, presence: ReadonlySet<string>): boolean {
  const [, path] = /^(?:bandwidth|round trip) (.*)$/.exec(id) ?? [];
  return path?.split(" → ").every((name) => presence.has(name)) ?? false;
}

function metricTrigger(metric: Metric, before: number | null, heldMs = 0): Trigger {
  const heldSeconds = Math.round(heldMs / MS_PER_SECOND);
  return {
    ...(heldSeconds > 0 ? { heldSeconds } : {}),
    kind: metric.kind,
    subject: metric.subject,
    before: before === null ? null : metric.shown(before),
    after: metric.shown(metric.value),
    unit: metric.unit,
  };
}

function plainTrigger(kind: Trigger["kind"], subject: string): Trigger {
  return { kind, subject, before: null, after: null, unit: "" };
}

function specificationOf(pipeline: Pipeline, { externalSha256 }: Situation): string {
  const { model, source, constraints, costModel } = pipeline;
  const { sha256 } = model;
  return JSON.stringify({ sha256, externalSha256, source, constraints, costModel });
}
